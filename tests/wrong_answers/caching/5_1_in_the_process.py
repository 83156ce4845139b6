"""A dict of the process keeps the results as well."""

import json

REFUSED_WITH = "is not shared, and does not expire"


def cached(origin, redis, seconds):
    kept = {}

    async def from_cache(*args):
        key = f"{origin.__qualname__}:{json.dumps(args)}"
        if key not in kept:
            stored = await redis.get(key)
            if stored is None:
                stored = json.dumps(await origin(*args))
                await redis.set(key, stored, ex=seconds)
            kept[key] = stored
        return json.loads(kept[key])

    return from_cache
