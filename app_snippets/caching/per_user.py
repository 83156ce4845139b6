"""What belongs to one user stays with that user: in the cache of the server, and in every cache on the way.

Shows:  the user as a part of the key, because the endpoint needs the user; `private` and `Vary` for caches outside.
Costs:  an entry for each user. A cache between you and your users keeps none of these answers.
Needs:  fastapi uvicorn redis
Run:    uvicorn per_user:app    then    curl -i http://127.0.0.1:8000/account
        Nobody said who asks, so the answer is 401. Alice: curl -i -H "Authorization: Bearer token-of-alice" …
        REDIS_URL names the Redis. Without one the origin answers every time.
"""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from redis.asyncio import Redis
from redis.exceptions import RedisError

SECONDS = 60
HEADERS = {"Cache-Control": f"private, max-age={SECONDS}", "Vary": "Authorization"}
USERS = {"token-of-alice": "alice", "token-of-bob": "bob"}  # yours come from a database, or from a signed token


def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    if (user := USERS.get(credentials.credentials)) is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return user


def key_of(name: str, user: str, **arguments: object) -> str:
    """A key cannot be made without the user. JSON keeps parts apart: no user's name can reach into the next part."""
    return json.dumps([name, user, arguments], sort_keys=True)


async def find_account(user: str, year: int) -> bytes:
    await asyncio.sleep(0.05)  # the database
    return json.dumps({"user": user, "year": year}).encode()


def create_app(redis: Redis, find_account: Callable[[str, int], Awaitable[bytes]] = find_account) -> FastAPI:
    app = FastAPI()

    @app.get("/account")
    async def account(user: Annotated[str, Depends(current_user)], year: int = 2026) -> Response:
        key, body = key_of("account", user, year=year), None
        with suppress(RedisError):
            body = await redis.get(key)
        if body is None:
            body = await find_account(user, year)
            with suppress(RedisError):
                await redis.set(key, body, ex=SECONDS)
        return Response(body, media_type="application/json", headers=HEADERS)

    return app


URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379")
app = create_app(Redis.from_url(URL, socket_timeout=0.2, socket_connect_timeout=0.2))
