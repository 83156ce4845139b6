"""One process of several that share a Redis and an origin, both named by the environment. Says which process answered.

Run:    REDIS_URL=… ORIGIN_URL=… uvicorn tests.snippets.caching_worker:app
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI, Response
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis

from app_snippets.caching import etag, single_flight, single_flight_redis

redis = Redis.from_url(os.environ["REDIS_URL"], socket_timeout=2, socket_connect_timeout=2)
origin = httpx.AsyncClient(base_url=os.environ["ORIGIN_URL"], timeout=30)
caches = {
    "single_flight": single_flight.Cache(redis),
    "single_flight_redis": single_flight_redis.Cache(redis, load_seconds=2),
}


async def ask_origin(path: str) -> bytes:
    response = await origin.get(path, params={"pid": os.getpid()})
    return response.raise_for_status().content


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with redis, origin:
        FastAPICache.init(RedisBackend(redis), prefix="worker")
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/etag", etag.app)


@app.middleware("http")
async def say_pid(request: Any, call_next: Callable[[Any], Awaitable[Response]]) -> Response:
    response = await call_next(request)
    response.headers["X-PID"] = str(os.getpid())
    return response


@app.get("/with_fastapi_cache/{path:path}")
@cache(expire=300)
async def with_fastapi_cache(path: str) -> str:
    return (await ask_origin(path)).decode()


@app.get("/{kind}/{path:path}")
async def cached(kind: str, path: str) -> Response:
    try:
        return Response(await caches[kind].get(path, lambda: ask_origin(path)))
    except Exception as error:
        return Response(f"the origin failed: {error}", status_code=502)
