"""One endpoint, cached in each way. The Redis and the origin are named by REDIS_URL and ORIGIN_URL.

Everything is as its documentation shows it, with its defaults, and the same time to live.
"""

import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urlsplit

import aiocache
import cashews
import httpx
from fastapi import Depends, FastAPI, Request, Response
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis

from app_snippets.caching import outage, single_flight_redis

REDIS_URL, ORIGIN_URL = os.environ["REDIS_URL"], os.environ["ORIGIN_URL"]
SECONDS = 300
ROWS = [{"id": number, "name": f"product {number}", "price": number / 4} for number in range(20)]

redis = Redis.from_url(REDIS_URL)  # as documentation shows it
cautious = Redis.from_url(REDIS_URL, socket_timeout=0.2, socket_connect_timeout=0.2)  # as the course does
origin = httpx.AsyncClient(base_url=ORIGIN_URL, timeout=60)
of_cashews = cashews.Cache()
of_cashews.setup(REDIS_URL)
of_aiocache: dict[str, Any] = {"cache": aiocache.Cache.REDIS, "port": urlsplit(REDIS_URL).port, "ttl": SECONDS}
Decorator = Callable[[Any], Any]
DECORATORS: dict[str, Decorator] = {
    "no cache": lambda function: function,
    "fastapi-cache2": cache(expire=SECONDS),
    "cashews": of_cashews(ttl=SECONDS),
    "cashews, lock=True": of_cashews(ttl=SECONDS, lock=True),
    "aiocache": aiocache.cached(**of_aiocache),
    "aiocache, cached_stampede": aiocache.cached_stampede(lease=30, **of_aiocache),
}
SNIPPETS: dict[str, Any] = {
    "single_flight_redis.py": single_flight_redis.Cache(cautious, SECONDS),
    "outage.py": outage.Cache(cautious, SECONDS),
}
NAMES = [*DECORATORS, *SNIPPETS]


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    FastAPICache.init(RedisBackend(redis), prefix="benchmark")
    yield
    FastAPICache.reset()
    await redis.aclose()
    await cautious.aclose()
    await origin.aclose()
    await of_cashews.close()


async def ask_origin(name: str, number: int) -> bytes:
    return (await origin.get("/", params={"name": name, "number": number})).raise_for_status().content


async def user(request: Request) -> None:
    request.state.user = request.headers["X-User"]


def routes(name: str, decorator: Decorator) -> FastAPI:
    """The endpoints are made anew for each decorator, which may keep what it saw first."""
    routed = FastAPI()

    async def report(number: int) -> list[dict[str, Any]]:
        await ask_origin(name, number)
        return ROWS

    async def hit(number: int) -> list[dict[str, Any]]:
        return ROWS

    async def account(request: Request) -> dict[str, str]:
        return {"user": request.state.user}

    for endpoint in (report, hit, account):
        endpoint.__qualname__ = endpoint.__name__ = f"{endpoint.__name__} of {name}"
    routed.get("/report/{number}")(decorator(report))
    routed.get("/hit/{number}")(decorator(hit))
    routed.get("/account", dependencies=[Depends(user)])(decorator(account))
    return routed


def snippet_routes(name: str, kept: Any) -> FastAPI:
    routed = FastAPI()

    @routed.get("/report/{number}")
    async def report(number: int) -> Response:
        async def load() -> bytes:
            await ask_origin(name, number)
            return json.dumps(ROWS).encode()

        return Response(await kept.get(f"{name}:{number}", load), media_type="application/json")

    @routed.get("/hit/{number}")
    async def hit(number: int) -> Response:
        async def load() -> bytes:
            return json.dumps(ROWS).encode()

        return Response(await kept.get(f"{name}:hit:{number}", load), media_type="application/json")

    def current_user(request: Request) -> str:
        return request.headers["X-User"]

    @routed.get("/account")
    async def account(user: Annotated[str, Depends(current_user)]) -> Response:
        async def load() -> bytes:
            return b'{"user":"%s"}' % user.encode()

        return Response(await kept.get(f"{name}:account:{user}", load), media_type="application/json")

    return routed


app = FastAPI(lifespan=lifespan)
for number, (name, decorator) in enumerate(DECORATORS.items()):
    app.mount(f"/{number}", routes(name, decorator))
for number, (name, kept) in enumerate(SNIPPETS.items(), len(DECORATORS)):
    app.mount(f"/{number}", snippet_routes(name, kept))


@app.get("/")
async def ready() -> dict[str, int]:
    return {"pid": os.getpid()}
