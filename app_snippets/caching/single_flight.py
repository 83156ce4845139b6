"""Single flight: of many simultaneous misses for a key in this process, one asks the origin.

Shows:  a task for each key that is being loaded, which everybody who wants that key awaits.
Costs:  a task a request that starts one. Every process still makes its own call.
Needs:  fastapi uvicorn redis
Run:    uvicorn single_flight:app    then    curl -i http://127.0.0.1:8000/report/1
        REDIS_URL names the Redis. Without one the origin answers, still one call at a time for a key.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Response
from redis.asyncio import Redis
from redis.exceptions import RedisError

Load = Callable[[], Awaitable[bytes]]


class SingleFlight:
    """Runs `load` for a key unless it is running. Everybody gets its result, or what it raised; then it is forgotten.

    It runs in a task of its own, so that a client that goes away takes nobody's answer with it.
    """

    def __init__(self) -> None:
        self.flights: dict[str, asyncio.Future[bytes]] = {}

    async def run(self, key: str, load: Load) -> bytes:
        flight = self.flights.get(key)  # no await from here to the next line but one: nobody comes between
        if flight is None:
            flight = self.flights[key] = asyncio.ensure_future(load())
            flight.add_done_callback(lambda _: self.flights.pop(key))
        return await asyncio.shield(flight)


class Cache:
    def __init__(self, redis: Any, seconds: float = 60) -> None:
        self.redis, self.seconds, self.flights = redis, seconds, SingleFlight()

    async def get(self, key: str, load: Load) -> bytes:
        async def look_then_load() -> bytes:  # looking is part of the flight: between a miss and a load nobody stores
            with suppress(RedisError):
                if (kept := await self.redis.get(key)) is not None:
                    return bytes(kept)
            body = await load()
            with suppress(RedisError):
                await self.redis.set(key, body, px=round(self.seconds * 1000))
            return body

        return await self.flights.run(key, look_then_load)


async def make_report(number: int) -> dict[str, int]:
    await asyncio.sleep(0.05)  # the database
    return {"report": number}


def create_app(redis: Redis, make_report: Callable[[int], Awaitable[object]] = make_report) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with redis:  # closes its connections at the end
            yield

    app, cache = FastAPI(lifespan=lifespan), Cache(redis)

    @app.get("/report/{number}")
    async def report(number: int) -> Response:
        async def load() -> bytes:
            return json.dumps(await make_report(number)).encode()

        return Response(await cache.get(f"report:{number}", load), media_type="application/json")

    return app


URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
app = create_app(Redis.from_url(URL, socket_timeout=0.2, socket_connect_timeout=0.2))
