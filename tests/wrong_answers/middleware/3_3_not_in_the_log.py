"""The response has its id, and the log does not."""

import re
from uuid import uuid4

REFUSED_WITH = "'/1 begins' with no request_id"


def with_request_ids(app, handler):
    async def with_id(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        id = given if re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", given) else uuid4().hex.encode()

        async def send_with_id(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", id)]}
            await send(message)

        await app(scope, receive, send_with_id)

    return with_id
