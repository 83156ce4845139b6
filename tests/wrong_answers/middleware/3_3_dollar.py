"""A dollar matches before a line break at the end."""

import re
from contextvars import ContextVar
from uuid import uuid4

REFUSED_WITH = "$ matches before a line break"


def with_request_ids(app, handler):
    current = ContextVar("request_id", default="-")

    def add_id(record):
        record.request_id = current.get()
        return True

    handler.addFilter(add_id)

    async def with_id(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        id = given if re.match(rb"^[A-Za-z0-9._-]{1,64}$", given) else uuid4().hex.encode()
        current.set(id.decode("latin-1"))

        async def send_with_id(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", id)]}
            await send(message)

        await app(scope, receive, send_with_id)

    return with_id
