"""What is no address is told as one."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "the last who wrote an address"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = ip_address(peer)
    for part in reversed((forwarded_for or "").split(",")):
        if not any(address in network for network in networks):
            break
        try:
            address = ip_address(part.strip())
        except ValueError:
            return part.strip() or peer
    return str(address)
