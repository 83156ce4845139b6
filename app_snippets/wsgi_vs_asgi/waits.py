"""One wait, two interfaces: what a request costs while it does nothing.

Shows:  the same wait in WSGI, where a thread sleeps, and in ASGI, where a timer runs.
Costs:  WSGI a thread for each request in flight, ASGI a task for each request in flight.
Needs:  uvicorn waitress
Run:    uvicorn waits:asgi    then    curl -i http://127.0.0.1:8000/
        or: waitress-serve --threads=100 --listen=127.0.0.1:8000 waits:wsgi
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def create_wsgi(seconds: float) -> WSGIApplication:
    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        time.sleep(seconds)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "7")])
        return [b"waited\n"]

    return app


def create_asgi(seconds: float) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # no lifespan: the server goes on without one
            raise NotImplementedError(scope["type"])
        await asyncio.sleep(seconds)
        headers = [(b"content-type", b"text/plain"), (b"content-length", b"7")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"waited\n"})

    return app


wsgi = create_wsgi(1.0)
asgi = create_asgi(1.0)
