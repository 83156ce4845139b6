"""A space before the address makes it no address."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "a space is no part of an address"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = ip_address(peer)
    for part in reversed((forwarded_for or "").split(",")):
        if not any(address in network for network in networks):
            break
        try:
            address = ip_address(part)
        except ValueError:
            break
    return str(address)
