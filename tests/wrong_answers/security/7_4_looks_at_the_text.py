"""The address is judged by how it is written."""

import ipaddress
from urllib.parse import urlsplit

REFUSED_WITH = "which leads to 127.0.0.1"
PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(name):
    return not name.startswith(("localhost", "127.", "10.", "192.168.", "169.254."))


async def fetch(url, resolve, get):
    parts = urlsplit(url)
    if parts.scheme not in PORTS or (parts.port or PORTS[parts.scheme]) not in PORTS.values():
        raise ValueError("not a web address")
    port = parts.port or PORTS[parts.scheme]
    if not parts.hostname or not is_public(parts.hostname):
        raise ValueError("not a public address")
    addresses = await resolve(parts.hostname, port)
    status, _, body = await get(addresses[0], port, parts.hostname, parts.path)
    if 300 <= status < 400:
        raise ValueError("a redirect")
    return body
