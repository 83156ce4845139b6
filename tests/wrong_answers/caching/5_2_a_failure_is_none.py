"""Those who wait get None when the leader fails."""

import asyncio

REFUSED_WITH = "the LookupError for each of them"


def single_flight(origin, redis):
    flights = {}

    async def cached(key):
        if key in flights:
            await flights[key].wait()
            return await redis.get(key)
        flights[key] = asyncio.Event()
        try:
            stored = await redis.get(key)
            if stored is None:
                stored = await origin(key)
                await redis.set(key, stored, ex=60)
            return stored
        finally:
            flights.pop(key).set()

    return cached
