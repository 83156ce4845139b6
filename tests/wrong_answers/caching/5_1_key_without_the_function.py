"""The key names the arguments only, and two functions share it."""

import json

REFUSED_WITH = "the function's name belongs into the key"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = json.dumps(args)
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result), ex=seconds)
        return result

    return from_cache
