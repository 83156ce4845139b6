"""The first caller does the work for all, and takes it along when it is cancelled."""

import asyncio

REFUSED_WITH = "asyncio.shield"


def single_flight(origin, redis):
    flights = {}

    async def fly(key):
        try:
            stored = await redis.get(key)
            if stored is None:
                stored = await origin(key)
                await redis.set(key, stored, ex=60)
            return stored
        finally:
            del flights[key]

    async def cached(key):
        if key not in flights:
            flights[key] = asyncio.create_task(fly(key))
        return await flights[key]

    return cached
