"""The key is a hash of the arguments."""

import json

REFUSED_WITH = "hash(-1) == hash(-2)"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{hash(args)}"
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
