"""The handler is set before uvicorn sets its own."""

import asyncio
import signal
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from starlette.responses import StreamingResponse

REFUSED_WITH = "put yours in before the yield"


def make_app(work, feed, noticed):
    draining, leaving = asyncio.Event(), asyncio.Event()
    signal.signal(signal.SIGTERM, lambda *_: draining.set())

    @asynccontextmanager
    async def lifespan(app):
        uvicorns = signal.getsignal(signal.SIGTERM)

        async def drain():
            await draining.wait()
            await noticed()
            leaving.set()
            uvicorns(signal.SIGTERM, None)

        task = asyncio.create_task(drain())
        yield
        task.cancel()

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
