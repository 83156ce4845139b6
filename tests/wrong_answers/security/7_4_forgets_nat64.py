"""An IPv6 address carries an IPv4 one."""

import ipaddress
from urllib.parse import urlsplit

REFUSED_WITH = "loopback behind NAT64"
PORTS = {"http": 80, "https": 443}


def is_public(text):
    address = ipaddress.ip_address(text)
    return address.is_global and not address.is_multicast


async def fetch(url, resolve, get):
    parts = urlsplit(url)
    if parts.scheme not in PORTS or (parts.port or PORTS[parts.scheme]) not in PORTS.values():
        raise ValueError("not a web address")
    port = parts.port or PORTS[parts.scheme]
    addresses = await resolve(parts.hostname, port)
    if not addresses or not all(map(is_public, addresses)):
        raise ValueError("not a public address")
    status, _, body = await get(addresses[0], port, parts.hostname, parts.path)
    if 300 <= status < 400:
        raise ValueError("a redirect")
    return body
