"""The id hangs on the task, and a thread has none."""

import asyncio
import re
from contextlib import suppress
from uuid import uuid4

REFUSED_WITH = "'/1 in a thread' with '-'"


def with_request_ids(app, handler):
    ids = {}

    def add_id(record):
        record.request_id = "-"
        with suppress(RuntimeError):
            record.request_id = ids.get(asyncio.current_task(), "-")
        return True

    handler.addFilter(add_id)

    async def with_id(scope, receive, send):
        if scope["type"] != "http":
            return await app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        id = given if re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", given) else uuid4().hex.encode()
        ids[asyncio.current_task()] = id.decode()

        async def send_with_id(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", id)]}
            await send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            del ids[asyncio.current_task()]

    return with_id
