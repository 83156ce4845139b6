"""What is stored stays for ever."""

import json

REFUSED_WITH = "a key that never expires"


def cached(origin, redis, seconds):
    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        stored = await redis.get(key)
        if stored is not None:
            return json.loads(stored)
        result = await origin(*args)
        await redis.set(key, json.dumps(result))
        return result

    return from_cache
