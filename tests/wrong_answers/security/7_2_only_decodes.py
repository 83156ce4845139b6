"""The signature is not looked at."""

import jwt

REFUSED_WITH = "that a stranger has signed"


def verify(token, keys):
    return jwt.decode(token, options={"verify_signature": False})
