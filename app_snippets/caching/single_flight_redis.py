"""Single flight across processes: of all who miss a key, one asks the origin, and the others wait for its answer.

Shows:  a lock in Redis, taken with SET NX PX, that only its holder may end, and that ends itself when its holder dies.
Costs:  a hit is one MGET. Who waits looks every 20 ms, and when the holder is killed, until its lock has run out.
Needs:  fastapi uvicorn redis
Run:    uvicorn --workers 2 single_flight_redis:app    then    curl -i http://127.0.0.1:8000/report/1
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from fastapi import FastAPI, Response
from redis.asyncio import Redis
from redis.exceptions import RedisError


class Cache:
    def __init__(self, redis: Any, seconds: float = 60, load_seconds: float = 5) -> None:
        self.redis, self.seconds, self.load_seconds = redis, seconds, load_seconds
        self.flights: dict[str, asyncio.Future[bytes]] = {}

    async def get(self, key: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        if (flight := self.flights.get(key)) is None:  # in this process, one task asks and waits for all
            flight = self.flights[key] = asyncio.ensure_future(self.fly(key, load))
            flight.add_done_callback(lambda _: self.flights.pop(key))
        return await asyncio.shield(flight)

    async def fly(self, key: str, load: Callable[[], Awaitable[bytes]]) -> bytes:
        lock, me, holder = f"{key}:lock", os.urandom(8).hex(), ""
        with suppress(RedisError):  # without Redis, straight to the origin
            while holder != me:
                kept, held, failure = await self.redis.mget(key, lock, f"{lock}:{holder}")
                if kept is not None:
                    return bytes(kept)
                if failure is not None:  # of the very call that this one has waited for
                    raise RuntimeError(failure.decode())
                if held is None:  # take it, and look again: somebody may have loaded it meanwhile
                    await self.redis.set(lock, me, nx=True, px=round(self.load_seconds * 1000) + 1000)
                elif (holder := held.decode()) != me:
                    await asyncio.sleep(0.02)
        try:
            body = await asyncio.wait_for(load(), self.load_seconds)  # a second less than the lock lives
        except Exception as error:
            await self.end(lock, me, f"{lock}:{me}", repr(error).encode(), seconds=10)  # told, not kept
            raise
        await self.end(lock, me, key, body, self.seconds)
        return body

    async def end(self, lock: str, me: str, key: str, value: bytes, seconds: float) -> None:
        async def swap(pipe: Any) -> None:  # done at once, or not at all: a lock that ran out is another's now
            if await pipe.get(lock) == me.encode():
                pipe.multi()
                pipe.set(key, value, px=round(seconds * 1000)).delete(lock)

        with suppress(RedisError):
            await self.redis.transaction(swap, lock)


async def make_report(number: int) -> bytes:
    return await asyncio.sleep(0.05, b'{"report": %d}' % number)  # the database


def create_app(redis: Redis, make_report: Callable[[int], Awaitable[bytes]] = make_report) -> FastAPI:
    app, cache = FastAPI(), Cache(redis)

    @app.get("/report/{number}")
    async def report(number: int) -> Response:
        return Response(await cache.get(f"report:{number}", lambda: make_report(number)), media_type="application/json")

    return app


URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")  # where there is none, each process makes its own call
app = create_app(Redis.from_url(URL, socket_timeout=0.2, socket_connect_timeout=0.2))
