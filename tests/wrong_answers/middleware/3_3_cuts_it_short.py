"""An invalid id is made valid, and is still chosen by the client."""

import re
from contextvars import ContextVar
from uuid import uuid4

REFUSED_WITH = "a part of an invalid id is still the client"


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
        id = re.sub(rb"[^A-Za-z0-9._-]", b"", given)[:64] or uuid4().hex.encode()
        current.set(id.decode("latin-1"))

        async def send_with_id(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", id)]}
            await send(message)

        await app(scope, receive, send_with_id)

    return with_id
