"""Everything at once: the limit is ignored."""

import asyncio

REFUSED_WITH = "10 calls in flight"


async def fan_out(call, numbers, limit):
    return await asyncio.gather(*map(call, numbers), return_exceptions=True)
