"""Readiness turns red in the second half of the lifespan."""

import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from starlette.responses import StreamingResponse

REFUSED_WITH = "the lifespan ends after all"
TOLD_LIKE = "6_1_listens_too_early"


def make_app(work, feed, noticed):
    draining, leaving = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def lifespan(app):
        yield
        draining.set()
        await noticed()
        leaving.set()

    app = FastAPI(lifespan=lifespan)

    @app.get("/live")
    async def live():
        return "alive"

    @app.get("/ready")
    async def ready():
        if draining.is_set():
            raise HTTPException(503)
        return "ready"

    @app.get("/work")
    async def do_work():
        return await work()

    @app.get("/feed")
    async def stream():
        return StreamingResponse(feed(leaving))

    return app
