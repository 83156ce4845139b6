"""The log has the id, and the client never learns it."""

import re
from contextvars import ContextVar
from uuid import uuid4

REFUSED_WITH = "0 headers X-Request-ID"


def with_request_ids(app, handler):
    current = ContextVar("request_id", default="-")

    def add_id(record):
        record.request_id = current.get()
        return True

    handler.addFilter(add_id)

    async def with_id(scope, receive, send):
        if scope["type"] == "http":
            given = dict(scope["headers"]).get(b"x-request-id", b"")
            valid = re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", given)
            current.set(given.decode() if valid else uuid4().hex)
        await app(scope, receive, send)

    return with_id
