"""Batches: each waits for its slowest call."""

import asyncio

REFUSED_WITH = "2 calls in flight after 1 of 3 had ended"


async def fan_out(call, numbers, limit):
    numbers, results = list(numbers), []
    for start in range(0, len(numbers), limit):
        batch = map(call, numbers[start : start + limit])
        results += await asyncio.gather(*batch, return_exceptions=True)
    return results
