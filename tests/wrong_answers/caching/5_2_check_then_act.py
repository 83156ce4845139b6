"""Between the look whether somebody is on the way and the note it waits for Redis."""

import asyncio

REFUSED_WITH = "no await between the look"


def single_flight(origin, redis):
    flights = {}

    async def cached(key):
        if key not in flights:
            stored = await redis.get(key)
            if stored is not None:
                return stored
            flights[key] = asyncio.create_task(origin(key))
        stored = await flights[key]
        await redis.set(key, stored, ex=60)
        flights.pop(key, None)
        return stored

    return cached
