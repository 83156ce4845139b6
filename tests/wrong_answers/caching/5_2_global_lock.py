"""One lock for all keys."""

import asyncio

REFUSED_WITH = "one lock for all keys"


def single_flight(origin, redis):
    lock = asyncio.Lock()

    async def cached(key):
        async with lock:
            stored = await redis.get(key)
            if stored is None:
                stored = await origin(key)
                await redis.set(key, stored, ex=60)
            return stored

    return cached
