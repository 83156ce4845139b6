"""Whoever says that there is no signature is believed."""

import jwt

REFUSED_WITH = "with alg none"


def verify(token, keys):
    header = jwt.get_unverified_header(token)
    if header["alg"] == "none":
        return jwt.decode(token, options={"verify_signature": False})
    jwk = keys.get(header.get("kid"))
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
