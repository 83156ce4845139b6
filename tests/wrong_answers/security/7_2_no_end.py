"""A token without an end is good for ever."""

import jwt

REFUSED_WITH = "without an end"


def verify(token, keys):
    jwk = keys.get(jwt.get_unverified_header(token).get("kid"))
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
        options={"require": ["iss", "aud", "sub"]},
    )
