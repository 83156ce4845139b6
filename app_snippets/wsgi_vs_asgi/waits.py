"""One wait, two interfaces: what a request costs while it does nothing.

Shows:  a second of waiting in WSGI (a thread sleeps) and in ASGI (a timer runs).
Costs:  WSGI a thread a request in flight, ASGI a task a request in flight. Count both, and the memory.
Needs:  uvicorn waitress
Run:    uvicorn waits:asgi    then    curl -i http://127.0.0.1:8000/
        waitress-serve --threads=100 --listen=127.0.0.1:8000 waits:wsgi
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

SECONDS = 1.0


def wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    time.sleep(SECONDS)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
    return [b"waited\n"]


async def asgi(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":  # no lifespan: uvicorn goes on without one
        raise NotImplementedError(scope["type"])
    await asyncio.sleep(SECONDS)
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"7")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"waited\n"})
