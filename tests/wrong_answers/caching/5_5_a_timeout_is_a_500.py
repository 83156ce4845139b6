"""The limit raises, and nobody catches it."""

import asyncio

from redis.exceptions import RedisError

REFUSED_WITH = "raised TimeoutError"


def fail_open(origin, redis, clock):
    rests_until = float("-inf")

    async def ask_redis(command, *args, **options):
        nonlocal rests_until
        if clock() < rests_until:
            return None
        try:
            async with asyncio.timeout(0.2):
                return await command(*args, **options)
        except RedisError:
            rests_until = clock() + 5
            return None

    async def cached(key):
        stored = await ask_redis(redis.get, key)
        if stored is None:
            stored = await origin(key)
            await ask_redis(redis.set, key, stored, ex=60)
        return stored

    return cached
