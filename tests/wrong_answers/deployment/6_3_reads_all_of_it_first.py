"""All is parsed before it is looked at, also what nobody needs."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "does not matter"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = ip_address(peer)
    try:
        parts = [ip_address(part.strip()) for part in (forwarded_for or "").split(",")]
    except ValueError:
        return peer
    for part in reversed(parts):
        if not any(address in network for network in networks):
            break
        address = part
    return str(address)
