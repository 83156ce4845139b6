"""The results in the order in which they came back."""

import asyncio

REFUSED_WITH = "not the order in which they came back"


async def quotes(fetch, symbols):
    calls = [asyncio.to_thread(fetch, symbol) for symbol in symbols]
    return [await call for call in asyncio.as_completed(calls)]
