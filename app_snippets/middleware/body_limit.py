"""No request body above a limit: 413 before the endpoint runs, whether or not the length was announced.

Shows:  `receive` wrapped, to count what really comes, and `send`, to know whether the response has started.
Costs:  an addition a chunk. FastAPI(max_body_size=…) counts too, but runs an endpoint that reads no body first.
Needs:  fastapi uvicorn
Run:    uvicorn body_limit:app    then    curl -i http://127.0.0.1:8000/docs
        To be refused, send a large file:
        curl -i -H "Content-Type: application/octet-stream" --data-binary @FILE http://127.0.0.1:8000/size
"""

from typing import Annotated

from fastapi import Body, FastAPI, HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimitMiddleware:
    """Answers 413 to a body of more than `limit` bytes. The app sees none of it beyond the limit."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self.app = app
        self.limit = limit
        self.refusal = JSONResponse({"detail": "Content Too Large"}, status_code=413)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        announced = dict(scope["headers"]).get(b"content-length", b"")
        if announced.isdigit() and int(announced) > self.limit:
            return await self.refusal(scope, receive, send)
        received, started = 0, False

        async def receive_counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self.limit:
                raise HTTPException(413, "Content Too Large")  # of other exceptions FastAPI would make a 400
            return message

        async def send_watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive_counted, send_watched)
        except HTTPException:  # the app has not answered for it
            if started or received <= self.limit:
                raise
            await self.refusal(scope, receive, send)


app = FastAPI()
app.add_middleware(BodyLimitMiddleware, limit=1_000_000)


@app.post("/size")
async def size(body: Annotated[bytes, Body(media_type="application/octet-stream")]) -> dict[str, int]:
    return {"bytes": len(body)}
