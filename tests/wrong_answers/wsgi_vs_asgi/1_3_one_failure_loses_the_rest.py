"""A task group cancels the other calls when one fails."""

import asyncio

REFUSED_WITH = "raised ExceptionGroup"


async def fan_out(call, numbers, limit):
    semaphore = asyncio.Semaphore(limit)

    async def one(number):
        async with semaphore:
            return await call(number)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(number)) for number in numbers]
    return [task.result() for task in tasks]
