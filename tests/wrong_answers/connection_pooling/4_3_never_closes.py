"""The stream is opened and left to whoever reads it."""

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

REFUSED_WITH = "after the client left midway"


def create_proxy(client, url):
    app = FastAPI()

    @app.get("/")
    async def proxy():
        response = await client.send(client.build_request("GET", url), stream=True)
        return StreamingResponse(
            response.aiter_raw(), response.status_code, media_type=response.headers["content-type"]
        )

    return app
