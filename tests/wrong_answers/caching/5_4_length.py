"""The tag is the length of the body."""

from starlette.responses import Response

REFUSED_WITH = "from the whole body"


def conditional(body, if_none_match):
    tag = f'"{len(body)}"'
    sent = [one.strip().removeprefix("W/") for one in (if_none_match or "").split(",")]
    if tag in sent or "*" in sent:
        return Response(status_code=304, headers={"ETag": tag})
    return Response(body, headers={"ETag": tag})
