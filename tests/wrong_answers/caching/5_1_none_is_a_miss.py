"""A result that is None is taken for a miss."""

import json

REFUSED_WITH = "only what Redis gives as None is a miss"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        stored = await redis.get(key)
        result = json.loads(stored) if stored else None
        if result is None:
            result = await origin(*args)
            await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
