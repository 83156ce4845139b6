"""asyncio.wait leaves its tasks alone when it is cancelled."""

import asyncio

REFUSED_WITH = "3 calls still running"


async def fan_out(call, numbers, limit):
    semaphore = asyncio.Semaphore(limit)

    async def one(number):
        async with semaphore:
            return await call(number)

    tasks = [asyncio.create_task(one(number)) for number in numbers]
    if tasks:
        await asyncio.wait(tasks)
    return [task.exception() or task.result() for task in tasks]
