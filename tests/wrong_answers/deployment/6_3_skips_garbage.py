"""What is no address is skipped, and what stands left of it believed."""

from ipaddress import ip_address, ip_network

REFUSED_WITH = "go no further"


def client_address(peer, forwarded_for, trusted):
    networks = [ip_network(one) for one in trusted]
    address = ip_address(peer)
    for part in reversed((forwarded_for or "").split(",")):
        if not any(address in network for network in networks):
            break
        try:
            address = ip_address(part.strip())
        except ValueError:
            continue
    return str(address)
