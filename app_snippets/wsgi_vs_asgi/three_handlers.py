"""The same call to another service, made in three ways: only one of them stops every other request.

Shows:  a blocking call inside `async def`, a blocking call inside `def`, an awaited call.
Costs:  /blocking holds the event loop, /threaded one of 40 threads, /awaiting neither.
Needs:  fastapi uvicorn httpx
Run:    uvicorn three_handlers:app    then    curl -i http://127.0.0.1:8000/awaiting
        UPSTREAM_URL names the service to call; until something listens there the answer is 502.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse


def create_app(upstream: str) -> FastAPI:
    limits = httpx.Limits(max_connections=200)  # above what the chapter sends, so that the pool is not what waits

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with httpx.Client(limits=limits, timeout=30) as app.state.blocking_client:
            async with httpx.AsyncClient(limits=limits, timeout=30) as app.state.client:
                yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/blocking")
    async def blocking(request: Request) -> object:
        return request.app.state.blocking_client.get(upstream).json()  # the mistake: nothing else runs meanwhile

    @app.get("/threaded")
    def threaded(request: Request) -> object:
        return request.app.state.blocking_client.get(upstream).json()

    @app.get("/awaiting")
    async def awaiting(request: Request) -> object:
        return (await request.app.state.client.get(upstream)).json()

    @app.exception_handler(httpx.HTTPError)
    async def bad_gateway(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": f"upstream: {type(error).__name__}"}, status_code=502)

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/wait"))
