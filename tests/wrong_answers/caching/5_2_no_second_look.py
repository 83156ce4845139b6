"""A lock for each key, and no second look into the cache behind it."""

import asyncio

REFUSED_WITH = "look into the cache again"


def single_flight(origin, redis):
    locks = {}

    async def cached(key):
        stored = await redis.get(key)
        if stored is None:
            async with locks.setdefault(key, asyncio.Lock()):
                stored = await origin(key)
                await redis.set(key, stored, ex=60)
        return stored

    return cached
