"""A kid that is not there is a KeyError, and so a 500."""

import jwt

REFUSED_WITH = "raised KeyError"


def verify(token, keys):
    key = jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]])
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        issuer="https://login.example",
        audience="orders",
        leeway=10,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
