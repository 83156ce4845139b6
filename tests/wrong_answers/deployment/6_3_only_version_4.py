"""IPv6 is not thought of."""

from ipaddress import IPv4Address, IPv4Network

REFUSED_WITH = "know both versions"


def client_address(peer, forwarded_for, trusted):
    networks = [IPv4Network(one) for one in trusted if ":" not in one]
    address = IPv4Address(peer)
    for part in reversed((forwarded_for or "").split(",")):
        if not any(address in network for network in networks):
            break
        try:
            address = IPv4Address(part.strip())
        except ValueError:
            break
    return str(address)
