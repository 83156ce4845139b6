"""The token says with which key it is verified."""

import jwt

REFUSED_WITH = "that brings its own key along"


def verify(token, keys):
    header = jwt.get_unverified_header(token)
    jwk = header.get("jwk") or keys.get(header.get("kid"))
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
