"""A task for each blocking call: it looks concurrent, and the calls still run in turn, in the loop's thread."""

import asyncio

REFUSED_WITH = "ran in the event loop's own thread, while 4 tasks waited for it"


async def quotes(fetch, symbols):
    async def one(symbol):
        return fetch(symbol)

    return await asyncio.gather(*map(one, symbols))
