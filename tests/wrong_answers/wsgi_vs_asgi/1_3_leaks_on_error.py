"""A plain gather raises the first failure, and the other calls run on with nobody waiting."""

import asyncio

REFUSED_WITH = "raised ConnectionError: call 4 failed, with 3 calls still running"


async def fan_out(call, numbers, limit):
    semaphore = asyncio.Semaphore(limit)

    async def one(number):
        async with semaphore:
            return await call(number)

    return await asyncio.gather(*map(one, numbers))
