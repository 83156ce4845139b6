"""Who asks /ready during the drain waits for its end."""

import asyncio
import signal
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from starlette.responses import StreamingResponse

REFUSED_WITH = "no answer within 3 s"


def make_app(work, feed, noticed):
    draining, leaving = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def lifespan(app):
        uvicorns, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()

        async def drain():
            await draining.wait()
            await noticed()
            leaving.set()
            uvicorns(signal.SIGTERM, None)

        task = asyncio.create_task(drain())
        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(draining.set))
        yield
        signal.signal(signal.SIGTERM, uvicorns)
        task.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/live")
    async def live():
        return "alive"

    @app.get("/ready")
    async def ready():
        if draining.is_set():
            await leaving.wait()
            raise HTTPException(503)
        return "ready"

    @app.get("/work")
    async def do_work():
        return await work()

    @app.get("/feed")
    async def stream():
        return StreamingResponse(feed(leaving))

    return app
