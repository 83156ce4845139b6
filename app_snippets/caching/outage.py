"""A Redis that is gone or hangs costs one short wait, and then nothing: the origin answers until it is back.

Shows:  one deadline for each visit to Redis, no retry, and a breaker that leaves Redis alone after a failure.
Costs:  the origin must bear the load alone while Redis is away. One request in `pause` seconds tries, and waits 0.2 s.
Needs:  fastapi uvicorn redis
Run:    uvicorn outage:app    then    curl -i http://127.0.0.1:8000/report/1
        REDIS_URL names the Redis. Without one the origin answers every time.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any

from fastapi import FastAPI, Response
from redis.asyncio import Redis
from redis.exceptions import MaxConnectionsError, RedisError

log = logging.getLogger(__name__)


class Cache:
    """After a failure nobody asks Redis for `pause` seconds. Then one request does, and if it is answered, all do."""

    def __init__(self, redis: Any, seconds: float = 60, wait: float = 0.2, pause: float = 2) -> None:
        self.redis, self.seconds, self.wait, self.pause = redis, seconds, wait, pause
        self.open_until = 0.0  # an open breaker lets nothing through

    async def ask(self, command: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """What Redis answers within `wait` seconds, connecting included, or None."""
        if monotonic() < self.open_until:
            return None
        if self.open_until:  # this request tries, and the others go on without Redis meanwhile
            self.open_until = monotonic() + self.pause
        try:
            async with asyncio.timeout(self.wait):
                answer = await command()
        except MaxConnectionsError:  # all connections are in use: Redis is well
            return None
        except (RedisError, OSError, TimeoutError) as error:
            if not self.open_until:
                log.warning("without Redis for now: %r", error)
            self.open_until = monotonic() + self.pause
            return None
        self.open_until = 0.0
        return answer

    async def get(self, key: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        kept = await self.ask(lambda: self.redis.get(key))
        if kept is not None:
            return kept
        body = await load()
        await self.ask(lambda: self.redis.set(key, body, px=round(self.seconds * 1000)))
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
app = create_app(Redis.from_url(URL, socket_timeout=0.2, socket_connect_timeout=0.2))  # from_url: no retries
