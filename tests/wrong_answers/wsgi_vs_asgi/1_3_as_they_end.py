"""The results in the order in which the calls ended."""

import asyncio

REFUSED_WITH = "not the order in which the calls ended"


async def fan_out(call, numbers, limit):
    semaphore, results = asyncio.Semaphore(limit), []

    async def one(number):
        async with semaphore:
            try:
                results.append(await call(number))
            except Exception as error:
                results.append(error)

    await asyncio.gather(*map(one, numbers))
    return results
