"""The semaphore is held while the task is made, not while it runs."""

import asyncio

REFUSED_WITH = "held while the call runs"


async def fan_out(call, numbers, limit):
    semaphore, tasks = asyncio.Semaphore(limit), []
    for number in numbers:
        async with semaphore:
            tasks.append(asyncio.create_task(call(number)))
    return await asyncio.gather(*tasks, return_exceptions=True)
