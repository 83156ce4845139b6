"""A token is good for a day after its end."""

import jwt

REFUSED_WITH = "that has expired a minute ago"


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
        leeway=24 * 60 * 60,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
