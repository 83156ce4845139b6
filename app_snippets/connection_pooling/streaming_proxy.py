"""A proxy that passes a stream on, part by part, and closes it however the response ends.

Shows:  the upstream's response in a yield dependency: its exit runs after the last part, and after a disconnect.
Costs:  a connection of the pool for as long as the client reads; a slow client holds it longest.
Needs:  fastapi httpx uvicorn
Run:    uvicorn streaming_proxy:app    then    curl -i http://127.0.0.1:8000/
        UPSTREAM_URL names the service to pass on; until something listens there the answer is 502.
"""

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

ASKED = ("accept", "accept-encoding", "if-none-match", "range")  # of the client's headers; no cookies, no credentials
PASSED = ("content-type", "content-encoding", "content-length", "content-range", "cache-control", "etag")


def create_app(upstream: str, *, size: int = 100, verify: ssl.SSLContext | bool = True) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        limits = httpx.Limits(max_connections=size, max_keepalive_connections=size, keepalive_expiry=4)
        timeout = httpx.Timeout(5, connect=1, pool=0.5)  # 5 s between two parts: a stream as a whole has no end
        async with httpx.AsyncClient(limits=limits, timeout=timeout, verify=verify) as client:
            yield {"client": client}

    async def answer(request: Request) -> AsyncIterator[httpx.Response]:
        client: httpx.AsyncClient = request.state.client
        headers = {name: request.headers[name] for name in ASKED if name in request.headers}
        target = (request.scope["raw_path"] or b"/") + (b"?" + request.scope["query_string"]).rstrip(b"?")
        try:
            url = httpx.URL(upstream).copy_with(raw_path=target)  # the host stays ours, whatever the path says
            response = await client.send(client.build_request("GET", url, headers=headers), stream=True)
        except httpx.PoolTimeout:
            raise HTTPException(503, "busy", {"Retry-After": "1"}) from None
        except (httpx.ReadTimeout, httpx.WriteTimeout):
            raise HTTPException(504, "upstream: too slow") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise HTTPException(502, f"upstream: {type(error).__name__}") from None
        try:
            yield response
        finally:
            await response.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/{path:path}")
    async def proxy(response: Annotated[httpx.Response, Depends(answer, scope="request")]) -> StreamingResponse:
        headers = {name: response.headers[name] for name in PASSED if name in response.headers}
        return StreamingResponse(response.aiter_raw(), response.status_code, headers)

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/"))
