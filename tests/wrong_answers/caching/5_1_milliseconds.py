"""The time to live is taken for milliseconds."""

import json

REFUSED_WITH = "ex= takes seconds, px= milliseconds"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result), px=seconds)
        return result

    return from_cache
