"""A failure of the upstream is told, and its stream forgotten."""

from fastapi import FastAPI, HTTPException
from fastapi.responses import StreamingResponse

REFUSED_WITH = "still open after a 404"


def create_proxy(client, url):
    app = FastAPI()

    async def parts(response):
        try:
            async for part in response.aiter_raw():
                yield part
        finally:
            await response.aclose()

    @app.get("/")
    async def proxy():
        response = await client.send(client.build_request("GET", url), stream=True)
        if response.status_code != 200:
            raise HTTPException(502)
        return StreamingResponse(parts(response), media_type=response.headers["content-type"])

    return app
