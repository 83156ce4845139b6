"""A request of a proxy of your own has no address."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "the first of them"


def client_address(peer, forwarded_for, trusted):
    def is_proxy(address):
        return any(ip_address(address) in ip_network(one) for one in trusted)

    if not forwarded_for or not is_proxy(peer):
        return peer
    strangers = [part.strip() for part in forwarded_for.split(",") if not is_proxy(part.strip())]
    return strangers[-1] if strangers else None
