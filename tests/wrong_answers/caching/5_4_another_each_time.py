"""The tag is another one each time."""

from uuid import uuid4

from starlette.responses import Response

REFUSED_WITH = "made of the body, and of nothing else"


def conditional(body, if_none_match):
    tag = f'"{uuid4().hex}"'
    sent = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if tag in sent or "*" in sent:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag})
