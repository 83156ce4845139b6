"""A token for another service is taken."""

import jwt

REFUSED_WITH = "for another audience"


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
        leeway=10,
        options={"require": ["exp", "iss", "aud", "sub"], "verify_aud": False},
    )
