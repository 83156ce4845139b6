"""Nine results: whose failed, nobody can tell."""

import asyncio

REFUSED_WITH = "a failure keeps its place"


async def fan_out(call, numbers, limit):
    semaphore = asyncio.Semaphore(limit)

    async def one(number):
        async with semaphore:
            return await call(number)

    results = await asyncio.gather(*map(one, numbers), return_exceptions=True)
    return [result for result in results if not isinstance(result, Exception)]
