"""A clock that differs by a few seconds makes a good token a bad one."""

import jwt

REFUSED_WITH = "a good token that ended 15 s ago"


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
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
