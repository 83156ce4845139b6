"""A proxy is known by its address, and never by its network."""

REFUSED_WITH = "in 10.1.0.0/16: it tells the client"


def client_address(peer, forwarded_for, trusted):
    address = peer
    for part in reversed((forwarded_for or "").split(",")):
        if not part or address not in trusted:
            break
        address = part.strip()
    return address
