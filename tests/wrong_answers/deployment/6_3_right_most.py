"""The right-most address, though it may be another proxy."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "none of your proxies"


def client_address(peer, forwarded_for, trusted):
    if not forwarded_for or not any(ip_address(peer) in ip_network(one) for one in trusted):
        return peer
    return forwarded_for.split(",")[-1].strip()
