"""The decorator of fastapi-cache2, as it is written today.

Shows:  the module is `fastapi_cache`, it is set up in lifespan, and the decorator stands under the route's.
Costs:  two commands in a transaction a hit, and the value decoded and encoded again. Simultaneous misses all load.
Needs:  fastapi uvicorn redis fastapi-cache2 jinja2
Run:    uvicorn with_fastapi_cache:app    then    curl -i http://127.0.0.1:8000/report/1
        REDIS_URL names the Redis. fastapi-cache2 imports jinja2 without saying so, and its extra [redis] asks for
        redis < 5: install `fastapi-cache2 jinja2 redis`, without the extra.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis


async def make_report(number: int) -> dict[str, int]:
    await asyncio.sleep(0.05)  # the database
    return {"report": number}


def create_app(redis: Redis, make_report: Callable[[int], Awaitable[dict[str, int]]] = make_report) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with redis:  # closes its connections at the end
            FastAPICache.init(RedisBackend(redis), prefix="shop")
            yield
            FastAPICache.reset()  # one set-up a process: without this a second `init` would do nothing

    app = FastAPI(lifespan=lifespan)

    @app.get("/report/{number}")
    @cache(expire=300)
    async def report(number: int) -> dict[str, int]:
        return await make_report(number)

    return app


app = create_app(Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")))
