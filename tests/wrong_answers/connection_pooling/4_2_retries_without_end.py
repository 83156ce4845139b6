"""It tries again until it works."""

import asyncio

import httpx

REFUSED_WITH = "no end after"


async def call(client, method, url):
    while True:
        try:
            return await client.request(method, url)
        except httpx.HTTPError:
            await asyncio.sleep(0.05)
