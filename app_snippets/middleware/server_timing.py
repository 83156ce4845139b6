"""Server-Timing on every response, as pure ASGI middleware.

Shows:  how to add a header without touching the body: wrap `send`, and change `http.response.start` only.
Costs:  two calls and a header a request; the chapter measures it beside the same with BaseHTTPMiddleware.
Needs:  fastapi uvicorn
Run:    uvicorn server_timing:app    then    curl -i http://127.0.0.1:8000/
"""

from collections.abc import Callable
from time import perf_counter

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class ServerTimingMiddleware:
    """Adds `Server-Timing: app;dur=MS`: milliseconds from the request's arrival to the start of its response.

    `clock` gives seconds and never goes back. Wall clocks such as `time.time` do, when the machine's time is set.
    """

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = perf_counter) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan and websocket pass untouched
            await self.app(scope, receive, send)
            return
        arrived = self.clock()

        async def send_with_timing(message: Message) -> None:
            if message["type"] == "http.response.start":
                timing = f"app;dur={(self.clock() - arrived) * 1000:.2f}".encode()
                message = {**message, "headers": [*message.get("headers", ()), (b"server-timing", timing)]}
            await send(message)

        await self.app(scope, receive, send_with_timing)


app = FastAPI()
app.add_middleware(ServerTimingMiddleware)


@app.get("/")
async def home() -> dict[str, str]:
    return {"hello": "world"}
