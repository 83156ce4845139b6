"""One key for all arguments."""

import json

REFUSED_WITH = "every argument"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = origin.__qualname__
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
