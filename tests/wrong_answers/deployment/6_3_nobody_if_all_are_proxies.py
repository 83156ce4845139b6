"""A request of a proxy of your own has no address."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "the first of them"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = ip_address(peer)
    for part in reversed((forwarded_for or "").split(",")):
        if not any(address in network for network in networks):
            break
        try:
            address = ip_address(part.strip())
        except ValueError:
            break
    return None if any(address in network for network in networks) and "," in (forwarded_for or "") else str(address)
