"""A header without an address is an exception."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "the last you know"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = ip_address(peer)
    for part in reversed(forwarded_for.split(",") if forwarded_for else []):
        if not any(address in network for network in networks):
            break
        address = ip_address(part.strip())
    return str(address)
