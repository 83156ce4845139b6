"""A lock for each key: when the origin fails, each waiter asks it again."""

import asyncio

REFUSED_WITH = "behind a lock everybody tries again"


def single_flight(origin, redis):
    locks = {}

    async def cached(key):
        async with locks.setdefault(key, asyncio.Lock()):
            stored = await redis.get(key)
            if stored is None:
                stored = await origin(key)
                await redis.set(key, stored, ex=60)
            return stored

    return cached
