"""A network is taken for the beginning of a text."""

REFUSED_WITH = "compare addresses, not texts"


def client_address(peer, forwarded_for, trusted):
    prefixes = [network.partition("/")[0].removesuffix(".0.0") for network in trusted]
    address = peer
    for part in reversed((forwarded_for or "").split(",")):
        if not part or not any(address.startswith(prefix) for prefix in prefixes):
            break
        address = part.strip()
    return address
