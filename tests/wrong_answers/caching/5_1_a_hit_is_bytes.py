"""A hit gives the stored bytes."""

import json

REFUSED_WITH = "a hit gives what the miss gave"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        stored = await redis.get(key)
        if stored is not None:
            return stored
        result = await origin(*args)
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
