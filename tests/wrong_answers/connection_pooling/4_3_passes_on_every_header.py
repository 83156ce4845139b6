"""All headers of the upstream are passed on, those of its connection too."""

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

REFUSED_WITH = "header connection passed on"


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
        return StreamingResponse(parts(response), response.status_code, response.headers)

    return app
