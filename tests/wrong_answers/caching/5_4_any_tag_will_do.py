"""Whatever tag the client has, nothing has changed."""

import hashlib

from starlette.responses import Response

REFUSED_WITH = "status 304"


def conditional(body, if_none_match):
    tag = f'"{hashlib.sha256(body).hexdigest()}"'
    if if_none_match:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag})
