"""One id for a request: in its response, and in every log line that it causes.

Shows:  a context variable, set outside of everything. Tasks and threads of the request copy it; other requests do not.
Costs:  an id and a header a request, and a filter a log line.
Needs:  fastapi uvicorn
Run:    uvicorn request_id:app    then    curl -i http://127.0.0.1:8000/
"""

import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from uuid import uuid4

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

VALID = re.compile(rb"[A-Za-z0-9._-]{1,64}")  # no line break, no terminal code, no book: it goes into your log
request_id: ContextVar[str] = ContextVar("request_id", default="-")
log = logging.getLogger("app")


class RequestIdMiddleware:
    """Takes the client's `X-Request-ID` where it is valid, makes one where it is not, and sends it back."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        id = given if VALID.fullmatch(given) else uuid4().hex.encode()
        request_id.set(id.decode())  # and not reset: the server logs a traceback later, in the same task

        async def send_with_id(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                others = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"x-request-id"]
                message = {**message, "headers": [*others, (b"x-request-id", id)]}
            await send(message)

        await self.app(scope, receive, send_with_id)


def add_request_id(record: logging.LogRecord) -> bool:
    """A filter for a handler, whose format may then say `%(request_id)s`."""
    record.request_id = request_id.get()
    return True


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    handler = logging.StreamHandler()
    handler.addFilter(add_request_id)
    handler.setFormatter(logging.Formatter("%(request_id)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield
    log.removeHandler(handler)


app = RequestIdMiddleware(api := FastAPI(lifespan=lifespan))  # around the whole app: the 500 has its id too


@api.get("/")
async def home() -> dict[str, str]:
    log.info("greeting")
    return {"hello": "world"}
