"""An error of the origin is stored as None."""

import json

REFUSED_WITH = "let the origin's error pass to the caller"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        try:
            result = await origin(*args)
        except Exception:
            result = None
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
