"""Everything at once: the limit is ignored."""

import asyncio

REFUSED_WITH = "10 calls in flight"
TOLD_LIKE = "1_3_semaphore_around_the_start"  # from outside they are the same


async def fan_out(call, numbers, limit):
    return await asyncio.gather(*map(call, numbers), return_exceptions=True)
