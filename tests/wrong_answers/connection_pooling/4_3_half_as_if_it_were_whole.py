"""A broken stream ends like a whole one."""

import httpx
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

REFUSED_WITH = "ends as if it were whole"


def create_proxy(client, url):
    app = FastAPI()

    async def parts(response):
        try:
            async for part in response.aiter_raw():
                yield part
        except httpx.HTTPError:
            pass
        finally:
            await response.aclose()

    @app.get("/")
    async def proxy():
        response = await client.send(client.build_request("GET", url), stream=True)
        return StreamingResponse(parts(response), response.status_code, media_type=response.headers["content-type"])

    return app
