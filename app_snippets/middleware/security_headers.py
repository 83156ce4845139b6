"""Security headers on every response, streams included, without holding a stream back.

Shows:  headers belong to `http.response.start`: they are out before the first chunk, and no chunk is touched.
Costs:  a few headers a response. What an endpoint sets itself stays as it is.
Needs:  fastapi uvicorn
Run:    uvicorn security_headers:app    then    curl -i http://127.0.0.1:8000/ticks
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "X-Content-Type-Options": "nosniff",  # a JSON answer is no script
    "Content-Security-Policy": "frame-ancestors 'none'",  # no other page may frame it
    "Referrer-Policy": "no-referrer",  # no address of ours, with its query, to others
    "Strict-Transport-Security": "max-age=31536000",  # come back by https only; browsers heed it over https alone
}


class SecurityHeadersMiddleware:
    """Sets each of `HEADERS` that the response does not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
            await send(message)

        await self.app(scope, receive, send_with_headers)


app = SecurityHeadersMiddleware(api := FastAPI())  # around the whole app: the 500 has them too


@api.get("/ticks", response_class=StreamingResponse)  # the docs promise no JSON
async def ticks() -> StreamingResponse:
    async def numbers() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(numbers(), media_type="text/plain")
