"""One limit for all processes: each client gets so many requests in any stretch of so many seconds, and then 429.

Shows:  `limits` with its async Redis storage. A script in Redis counts and decides in one step, so no two requests take
        the last place. A moving window: with a fixed one, twice the limit passes around the end of a window.
Costs:  two visits to Redis a request, and in Redis a time for each request that counts. Without Redis all requests
        pass, after 0.2 s, and a warning is logged: it guards fair shares. For logins, `open_without_redis=False`: 503.
Needs:  fastapi uvicorn limits redis
Run:    uvicorn --factory rate_limit:create_app    then    curl -i http://127.0.0.1:8000/search
        REDIS_URL names the Redis. RATE_LIMIT is 10/minute, or what you set.
"""

import logging
import math
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

log = logging.getLogger(__name__)


class RateLimit:
    """A dependency: 429 when the client has had its share."""

    def __init__(self, limit: RateLimitItem, storage: Storage, open_without_redis: bool) -> None:
        self.limit, self.limiter, self.open_without_redis = limit, MovingWindowRateLimiter(storage), open_without_redis

    async def __call__(self, request: Request, response: Response) -> None:
        client = request.client.host if request.client else "unknown"  # of a known user, take the name instead
        try:
            passes = await self.limiter.hit(self.limit, client)
            window = await self.limiter.get_window_stats(self.limit, client)
        except (RedisError, OSError) as error:
            log.warning("no rate limit for now: %r", error)
            if self.open_without_redis:
                return
            raise HTTPException(503, "try again later", {"Retry-After": "1"}) from None
        wait = max(1, math.ceil(window.reset_time - time.time()))  # until the oldest request of the window is forgotten
        headers = {
            "RateLimit-Policy": f'"client";q={self.limit.amount};w={self.limit.get_expiry()}',
            "RateLimit": f'"client";r={max(0, window.remaining)};t={wait}',
        }
        if not passes:
            raise HTTPException(429, "too many requests", {"Retry-After": str(wait), **headers})
        response.headers.update(headers)


def create_app(storage: Storage | None = None, limit: str = "", open_without_redis: bool = True) -> FastAPI:
    url = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
    pool = ConnectionPool.from_url(url, socket_timeout=0.2, socket_connect_timeout=0.2)
    storage = storage or RedisStorage(f"async+{url}", implementation="redispy", connection_pool=pool)  # type: ignore[arg-type]
    share = RateLimit(parse(limit or os.environ.get("RATE_LIMIT", "10/minute")), storage, open_without_redis)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await pool.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/search", dependencies=[Depends(share)], responses={429: {}, 503: {}})
    async def search() -> dict[str, list[str]]:
        return {"found": []}

    return app
