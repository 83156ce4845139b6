"""An error of Redis is the caller's."""

REFUSED_WITH = "raised ConnectionError"


def fail_open(origin, redis, clock):
    async def cached(key):
        stored = await redis.get(key)
        if stored is None:
            stored = await origin(key)
            await redis.set(key, stored, ex=60)
        return stored

    return cached
