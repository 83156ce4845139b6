"""Stale while revalidate: what is a little too old is still the answer, and is renewed behind it.

Shows:  a time to live of two parts. In the second part everybody gets the old bytes, and one request starts a renewal.
Costs:  a GET and a PTTL a hit, sent together. Answers may be `stale` seconds older than they would be.
Needs:  fastapi uvicorn redis
Run:    uvicorn stale_while_revalidate:app    then    curl -i http://127.0.0.1:8000/report/1
        REDIS_URL names the Redis. Without one the origin answers every time.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Response
from redis.asyncio import Redis
from redis.exceptions import RedisError

Load = Callable[[], Awaitable[bytes]]
log = logging.getLogger(__name__)


class Cache:
    """Fresh for `fresh` seconds, kept for `stale` more. A renewal that fails is tried again after `pause` seconds."""

    def __init__(self, redis: Any, fresh: float = 60, stale: float = 600, pause: float = 5) -> None:
        self.redis, self.fresh, self.stale, self.pause = redis, fresh, stale, pause
        self.renewals: set[asyncio.Task[None]] = set()  # the loop itself holds on to no task

    async def get(self, key: str, load: Load) -> bytes:
        with suppress(RedisError):
            kept, left = await self.redis.pipeline(transaction=False).get(key).pttl(key).execute()
            if kept is not None:
                if left <= self.stale * 1000 and await self.first(key):
                    self.renewals.add(renewal := asyncio.create_task(self.renew(key, load)))
                    renewal.add_done_callback(self.renewals.discard)
                return bytes(kept)
        return await self.store(key, load)

    async def first(self, key: str) -> bool:
        """Whether this is the one request, of all processes, that renews."""
        return bool(await self.redis.set(f"{key}:renewal", b"", nx=True, px=round(self.pause * 1000)))

    async def renew(self, key: str, load: Load) -> None:
        try:
            await self.store(key, load)
        except Exception:
            log.exception("%s was not renewed: the old answer stays", key)

    async def store(self, key: str, load: Load) -> bytes:
        body = await load()
        with suppress(RedisError):
            await self.redis.set(key, body, px=round((self.fresh + self.stale) * 1000))
        return body


async def make_report(number: int) -> bytes:
    return await asyncio.sleep(0.05, b'{"report": %d}' % number)  # the database


def create_app(redis: Redis, make_report: Callable[[int], Awaitable[bytes]] = make_report) -> FastAPI:
    app, cache = FastAPI(), Cache(redis)

    @app.get("/report/{number}")
    async def report(number: int) -> Response:
        return Response(await cache.get(f"report:{number}", lambda: make_report(number)), media_type="application/json")

    return app


URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
app = create_app(Redis.from_url(URL, socket_timeout=0.2, socket_connect_timeout=0.2))
