"""Any issuer will do."""

import jwt

REFUSED_WITH = "of another issuer"


def verify(token, keys):
    jwk = keys.get(jwt.get_unverified_header(token).get("kid"))
    if jwk is None:
        raise jwt.InvalidKeyError("no such key")
    key = jwt.PyJWK(jwk)
    return jwt.decode(
        token,
        key,
        algorithms=[key.algorithm_name],
        audience="orders",
        leeway=10,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
