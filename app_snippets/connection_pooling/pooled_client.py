"""One HTTP client for the app, made and closed in lifespan, with limits, timeouts, and a status for every failure.

Shows:  httpx.Limits and httpx.Timeout; a queue with one deadline; 502, 503 and 504 in place of a 500.
Costs:  at most `size` connections for each worker process; a request may wait `wait` seconds for one of them.
Needs:  fastapi httpx uvicorn
Run:    uvicorn pooled_client:app    then    curl -i http://127.0.0.1:8000/
        UPSTREAM_URL names the service to call; until something listens there the answer is 502.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException, Request, Response


def create_app(
    upstream: str, *, size: int = 20, wait: float = 0.5, whole: float = 2.0, verify: ssl.SSLContext | bool = True
) -> FastAPI:
    """An answer comes within `wait` + `whole` seconds, whatever the upstream does."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        # uvicorn closes a connection that was idle for 5 s: we do it first, or a request might meet the closing
        limits = httpx.Limits(max_connections=size, max_keepalive_connections=size, keepalive_expiry=4)
        timeout = httpx.Timeout(whole, connect=min(1.0, whole), pool=wait)
        async with httpx.AsyncClient(limits=limits, timeout=timeout, verify=verify) as client:
            yield {"client": client, "places": asyncio.Semaphore(size)}

    app = FastAPI(lifespan=lifespan)

    @asynccontextmanager
    async def place(places: asyncio.Semaphore) -> AsyncIterator[None]:
        """A place in the pool, or 503. httpx's own pool timeout starts anew whenever a connection becomes free."""
        try:
            async with asyncio.timeout(wait):
                await places.acquire()
        except TimeoutError:
            raise HTTPException(503, "busy", {"Retry-After": "1"}) from None
        try:
            yield
        finally:
            places.release()

    @app.get("/")
    async def home(request: Request) -> Response:
        async with place(request.state.places):
            try:
                async with asyncio.timeout(whole):  # httpx's timeouts bound each read, not their sum
                    response = await request.state.client.get(upstream)
                response.raise_for_status()
            except httpx.PoolTimeout:
                raise HTTPException(503, "busy", {"Retry-After": "1"}) from None
            except (httpx.ReadTimeout, httpx.WriteTimeout, TimeoutError):
                raise HTTPException(504, "upstream: too slow") from None
            except httpx.HTTPError as error:  # a ConnectTimeout as well: nobody was there
                raise HTTPException(502, f"upstream: {type(error).__name__}") from None
        return Response(response.content, media_type=response.headers.get("content-type"))

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/"))
