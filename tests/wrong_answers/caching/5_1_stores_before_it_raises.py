"""An error passes, and None is stored on its way."""

import json

REFUSED_WITH = "an error is not a result"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = None
        try:
            result = await origin(*args)
        finally:
            await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
