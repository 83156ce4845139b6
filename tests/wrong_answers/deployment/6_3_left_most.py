"""The left-most address, which the client may write."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "what the client sent stands at the left"


def client_address(peer, forwarded_for, trusted):
    if forwarded_for is None or not any(ip_address(peer) in ip_network(one) for one in trusted):
        return peer
    return forwarded_for.split(",")[0].strip()
