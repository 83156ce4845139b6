"""The number 1 and the text 1 get one key."""

import json

REFUSED_WITH = "are the same text"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{[str(arg) for arg in args]}"
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
