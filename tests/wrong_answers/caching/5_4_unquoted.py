"""The tag has no quotes."""

import hashlib

from starlette.responses import Response

REFUSED_WITH = "the quotes belong to the tag"


def conditional(body, if_none_match):
    tag = hashlib.sha256(body).hexdigest()
    sent = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if tag in sent or "*" in sent:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag})
