"""Cache-aside: look in Redis, on a miss ask the origin, and keep its answer for a while.

Shows:  a key made of every argument, a time to live with jitter, and the response's own bytes as the value.
Costs:  one GET a hit, a GET and a SET a miss. Simultaneous misses all reach the origin.
Needs:  fastapi uvicorn redis
Run:    uvicorn cache_aside:app    then    curl -i "http://127.0.0.1:8000/price/1?currency=EUR"
        REDIS_URL names the Redis. Without one the origin answers every time.
"""

import asyncio
import json
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Response
from redis.asyncio import Redis
from redis.exceptions import RedisError


def key_of(name: str, **arguments: object) -> str:
    """One key for each set of arguments: 1, "1" and None differ. Raises TypeError for what is no JSON."""
    return f"{name}:{json.dumps(arguments, sort_keys=True)}"


class Cache:
    """Keeps bytes for `seconds`, give or take `jitter` of them: what was stored together does not expire together."""

    def __init__(self, redis: Any, seconds: float = 60, jitter: float = 0.1) -> None:
        self.redis, self.seconds, self.jitter = redis, seconds, jitter

    async def get(self, key: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        """The kept bytes, or those of `load`, which are kept. What `load` raises is raised, and not kept."""
        kept: bytes | None = None
        with suppress(RedisError):  # without Redis, the origin answers
            kept = await self.redis.get(key)
        if kept is not None:
            return kept
        body = await load()
        seconds = self.seconds * random.uniform(1 - self.jitter, 1 + self.jitter)
        with suppress(RedisError):
            await self.redis.set(key, body, px=max(1, round(seconds * 1000)))
        return body


async def find_price(product: int, currency: str) -> float | None:
    await asyncio.sleep(0.05)  # the database
    return {"EUR": 9.5, "USD": 11.0}.get(currency)


def create_app(redis: Redis, find_price: Callable[[int, str], Awaitable[float | None]] = find_price) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with redis:  # closes its connections at the end
            yield

    app, cache = FastAPI(lifespan=lifespan), Cache(redis)

    @app.get("/price/{product}")
    async def price(product: int, currency: str) -> Response:
        async def load() -> bytes:
            return json.dumps(await find_price(product, currency)).encode()  # None is b"null": an answer, and kept

        body = await cache.get(key_of("price", product=product, currency=currency), load)
        return Response(body, media_type="application/json")

    return app


URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
app = create_app(Redis.from_url(URL, socket_timeout=0.2, socket_connect_timeout=0.2))
