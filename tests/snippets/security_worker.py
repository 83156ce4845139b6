"""One process of several that limit rates: together in Redis, each for itself, and together but in two steps.

Run:    REDIS_URL=… RATE_LIMIT=… uvicorn tests.snippets.security_worker:app
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException
from limits.aio.storage import MemoryStorage
from redis.asyncio import Redis

from app_snippets.security import rate_limit

redis = Redis.from_url(os.environ["REDIS_URL"], socket_timeout=5)
shared = rate_limit.create_app()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with redis, shared.router.lifespan_context(shared):
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/shared", shared)
app.mount("/memory", rate_limit.create_app(MemoryStorage()))


@app.get("/two_steps/search")
async def two_steps() -> None:
    """Looks, and then counts. Between the two there is time for the others."""
    if int(await redis.get("count") or 0) >= int(os.environ["RATE_LIMIT"].partition("/")[0]):
        raise HTTPException(429)
    await asyncio.sleep(0)
    await redis.incr("count")
