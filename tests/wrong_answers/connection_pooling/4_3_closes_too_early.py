"""The block that closes the stream ends before the stream is read."""

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

REFUSED_WITH = "raised StreamClosed"


def create_proxy(client, url):
    app = FastAPI()

    @app.get("/")
    async def proxy():
        async with client.stream("GET", url) as response:
            media_type = response.headers["content-type"]
            return StreamingResponse(response.aiter_raw(), response.status_code, media_type=media_type)

    return app
