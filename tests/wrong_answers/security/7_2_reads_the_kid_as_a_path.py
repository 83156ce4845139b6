"""A kid that is not known is looked for on the disk."""

import json
from pathlib import Path

import jwt

REFUSED_WITH = "the path of the attacker's key"


def verify(token, keys):
    kid = jwt.get_unverified_header(token).get("kid", "")
    jwk = keys.get(kid)
    if jwk is None and Path(kid).exists():
        jwk = json.loads(Path(kid).read_text())
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
