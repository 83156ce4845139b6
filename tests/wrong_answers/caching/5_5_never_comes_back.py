"""A Redis that has failed once is never asked again."""

import asyncio

from redis.exceptions import RedisError

REFUSED_WITH = "try Redis again after 5 s"


def fail_open(origin, redis, clock):
    rests_until = float("-inf")

    async def ask_redis(command, *args, **options):
        nonlocal rests_until
        if clock() < rests_until:
            return None
        try:
            async with asyncio.timeout(0.2):
                return await command(*args, **options)
        except (RedisError, OSError, TimeoutError):
            rests_until = float("inf")
            return None

    async def cached(key):
        stored = await ask_redis(redis.get, key)
        if stored is None:
            stored = await origin(key)
            await ask_redis(redis.set, key, stored, ex=60)
        return stored

    return cached
