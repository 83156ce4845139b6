"""What is not http is fetched as if it were."""

import ipaddress
from urllib.parse import urlsplit

REFUSED_WITH = "http and https, and nothing else"
PORTS = {"http": 80, "https": 443}
NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(text):
    address = ipaddress.ip_address(text)
    return address.is_global and not address.is_multicast and address not in NAT64


async def fetch(url, resolve, get):
    parts = urlsplit(url)
    port = parts.port or PORTS.get(parts.scheme, 80)
    if port not in PORTS.values():
        raise ValueError("not a web port")
    addresses = await resolve(parts.hostname, port)
    if not addresses or not all(map(is_public, addresses)):
        raise ValueError("not a public address")
    status, _, body = await get(addresses[0], port, parts.hostname, parts.path)
    if 300 <= status < 400:
        raise ValueError("a redirect")
    return body
