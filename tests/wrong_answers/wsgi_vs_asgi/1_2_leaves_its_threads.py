"""A pool that outlives the call, and that nothing shuts down."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

REFUSED_WITH = "threads left behind"
pools = []


async def quotes(fetch, symbols):
    pools.append(ThreadPoolExecutor(10))
    loop = asyncio.get_running_loop()
    return list(await asyncio.gather(*(loop.run_in_executor(pools[-1], fetch, symbol) for symbol in symbols)))
