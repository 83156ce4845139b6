"""The token says by which algorithm it is verified, and a public key is no secret."""

import jwt
from jwt.utils import base64url_decode

REFUSED_WITH = "signed with the public key, as HS256"


def verify(token, keys):
    header = jwt.get_unverified_header(token)
    jwk = keys.get(header.get("kid"))
    if jwk is None:
        raise jwt.InvalidKeyError("no such key")
    key = base64url_decode(jwk["x"]) if header["alg"].startswith("HS") else jwt.PyJWK(jwk).key
    return jwt.decode(
        token,
        key,
        algorithms=[header["alg"]],
        issuer="https://login.example",
        audience="orders",
        leeway=10,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )
