"""The arguments are joined, and could have been cut elsewhere."""

import json

REFUSED_WITH = "can be cut elsewhere"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:" + ":".join(map(str, args))
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
