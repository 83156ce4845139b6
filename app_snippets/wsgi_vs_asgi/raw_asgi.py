"""An ASGI app by hand: one coroutine function, called for the server's life and for each request.

Shows:  the whole of the interface: `scope` says what it is, `receive` and `send` carry messages both ways.
Costs:  a task for as long as the request lasts; a thread only if it blocks one.
Needs:  uvicorn
Run:    uvicorn raw_asgi:app    then    curl -i http://127.0.0.1:8000/hello
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "http":
        await http(scope, send)


async def lifespan(receive: Receive, send: Send) -> None:
    """Answers the server's two messages: one before the first request, one after the last."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def http(scope: Message, send: Send) -> None:
    """The response is at least two messages: its start, then its body."""
    found = scope["path"] == "/hello"
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": b"hello from ASGI\n" if found else b"not found\n"})
