"""The 304 carries the body."""

import hashlib

from starlette.responses import Response

REFUSED_WITH = "a 304 ends with its headers"


def conditional(body, if_none_match):
    tag = f'"{hashlib.sha256(body).hexdigest()}"'
    sent = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if tag in sent or "*" in sent:
        return Response(body, status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag})
