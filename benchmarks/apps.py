"""The apps under load."""

from typing import Any

from fastapi import FastAPI

fastapi = FastAPI()


@fastapi.get("/")
async def home() -> dict[str, str]:
    return {"hello": "world"}


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """As little as an ASGI app can do for a request: what is slow now is the server, or the driver."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
