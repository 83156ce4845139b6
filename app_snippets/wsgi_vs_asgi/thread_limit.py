"""How many `def` endpoints may run at once: a setting, made in lifespan.

Shows:  AnyIO's limiter, from which Starlette takes a thread for each `def` endpoint, dependency and file.
Costs:  a thread each, and what the thread holds: the client's pool has as many connections, or the queue only moves.
Needs:  fastapi uvicorn httpx
Run:    THREADS=60 uvicorn thread_limit:app    then    curl -i http://127.0.0.1:8000/report
        UPSTREAM_URL names the service to call; until something listens there the answer is 502.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, HTTPException, Request


def create_app(upstream: str, threads: int) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = threads  # one limiter an event loop: set it inside the loop
        with httpx.Client(limits=httpx.Limits(max_connections=threads), timeout=30) as app.state.client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/report")
    def report(request: Request) -> object:
        try:
            return request.app.state.client.get(upstream).json()
        except httpx.HTTPError as error:
            raise HTTPException(502, f"upstream: {type(error).__name__}") from None

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/wait"), int(os.environ.get("THREADS", "40")))
