"""A kid that nobody knows falls back to a key."""

import jwt

REFUSED_WITH = "of a good key under a name that nobody knows"


def verify(token, keys):
    jwk = keys.get(jwt.get_unverified_header(token).get("kid"), next(iter(keys.values())))
    if jwk is None:
        raise jwt.InvalidKeyError("no such key")
    key = jwt.PyJWK(jwk)
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        issuer="https://login.example",
        audience="orders",
        leeway=10,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
