"""A flight that failed is never forgotten."""

import asyncio

REFUSED_WITH = "forget the flight when it has ended, also when it failed"


def single_flight(origin, redis):
    flights = {}

    async def fly(key):
        stored = await redis.get(key)
        if stored is None:
            stored = await origin(key)
            await redis.set(key, stored, ex=60)
        del flights[key]
        return stored

    async def cached(key):
        if key not in flights:
            flights[key] = asyncio.create_task(fly(key))
        return await asyncio.shield(flights[key])

    return cached
