"""When the leader fails, nobody tells those who wait."""

import asyncio

REFUSED_WITH = "must reach those who wait"


def single_flight(origin, redis):
    flights = {}

    async def cached(key):
        if key in flights:
            return await flights[key]
        flight = flights[key] = asyncio.get_running_loop().create_future()
        try:
            stored = await redis.get(key)
            if stored is None:
                stored = await origin(key)
                await redis.set(key, stored, ex=60)
        finally:
            del flights[key]
        flight.set_result(stored)
        return stored

    return cached
