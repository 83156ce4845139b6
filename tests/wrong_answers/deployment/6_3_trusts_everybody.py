"""The header is believed whoever sends it."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "anybody can send the header"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = None
    for part in reversed((forwarded_for or "").split(",")):
        if address and not any(address in network for network in networks):
            break
        try:
            address = ip_address(part.strip())
        except ValueError:
            break
    return str(address or peer)
