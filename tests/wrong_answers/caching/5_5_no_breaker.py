"""Every request waits for a Redis that has failed."""

import asyncio

from redis.exceptions import RedisError

REFUSED_WITH = "a circuit breaker"


def fail_open(origin, redis, clock):
    async def ask_redis(command, *args, **options):
        try:
            async with asyncio.timeout(0.05):
                return await command(*args, **options)
        except (RedisError, OSError, TimeoutError):
            return None

    async def cached(key):
        stored = await ask_redis(redis.get, key)
        if stored is None:
            stored = await origin(key)
            await ask_redis(redis.set, key, stored, ex=60)
        return stored

    return cached
