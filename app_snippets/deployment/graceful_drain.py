"""SIGTERM ends the service in order: not ready at once, still answering for a while, then what is in flight finishes.

Shows:  the lifespan puts its own handler before the server's, and calls the server's when the drain is over.
Costs:  a stop takes `seconds`, and at most `finish` more. gunicorn's asgi worker needs gunicorn.conf.py too.
Needs:  fastapi uvicorn
Run:    uvicorn graceful_drain:app    then    curl -i http://127.0.0.1:8000/ready
"""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Drain:
    """For `seconds` new requests are answered, for balancers to notice; then what is in flight has `finish` seconds."""

    def __init__(self, seconds: float, finish: float) -> None:
        self.seconds, self.finish, self.draining = seconds, finish, False
        self.in_flight: set[asyncio.Task[None] | None] = set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)  # the server's own, by now
        if not callable(stop) or threading.current_thread() is not threading.main_thread():
            return (yield)  # in a test or a notebook, where no signal is the app's to take

        def end() -> None:
            for port in getattr(getattr(stop, "__self__", None), "servers", ()):
                port.close()  # `Server.shutdown` would cut what is accepted and not read yet: nothing new from here on
            loop.call_later(0.2, stop, signal.SIGTERM, None)
            loop.call_later(0.2 + self.finish, lambda: [task.cancel() for task in self.in_flight if task])

        def begin(*_: object) -> None:
            if not self.draining:  # gunicorn's master may send it twice
                loop.call_soon_threadsafe(loop.call_later, self.seconds, end)
            self.draining = True

        signal.signal(signal.SIGTERM, begin)
        yield
        signal.signal(signal.SIGTERM, stop)

    def middleware(self, app: ASGIApp) -> ASGIApp:
        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            async def closing(message: Message) -> None:
                if self.draining and message["type"] == "http.response.start":  # a proxy will not come back here
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
                await send(message)

            if scope["type"] != "lifespan":
                self.in_flight.add(asyncio.current_task())
            try:
                await app(scope, receive, closing)
            finally:
                self.in_flight.discard(asyncio.current_task())

        return known


def create_app(drain: Drain) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with drain.listening():
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(drain.middleware)

    @app.get("/ready", response_class=Response)  # the docs promise no JSON
    async def ready() -> Response:
        return Response("draining", 503) if drain.draining else Response("ready")

    return app


app = create_app(Drain(seconds=5, finish=10))
