"""A thread for each call, and each waited for before the next."""

import asyncio

REFUSED_WITH = "1 call of fetch at a time"


async def quotes(fetch, symbols):
    return [await asyncio.to_thread(fetch, symbol) for symbol in symbols]
