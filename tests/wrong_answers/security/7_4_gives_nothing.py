"""It returns None where it should raise."""

import ipaddress
from urllib.parse import urlsplit

REFUSED_WITH = "raise ValueError(...)"
PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text):
    address = ipaddress.ip_address(text)
    return address.is_global and not address.is_multicast and address not in NAT64


async def fetch(url, resolve, get):
    parts = urlsplit(url)
    if parts.scheme not in PORTS or (parts.port or PORTS[parts.scheme]) not in PORTS.values():
        raise ValueError("not a web address")
    port = parts.port or PORTS[parts.scheme]
    addresses = await resolve(parts.hostname, port)
    if not addresses or not all(map(is_public, addresses)):
        return None
    status, _, body = await get(addresses[0], port, parts.hostname, parts.path)
    if 300 <= status < 400:
        raise ValueError("a redirect")
    return body
