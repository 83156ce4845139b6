"""Whatever fails is sent again, orders too."""

import asyncio

import httpx
from fastapi import HTTPException

REFUSED_WITH = "POSTs reached the upstream"


async def call(client, method, url):
    try:
        async with asyncio.timeout(1):
            for attempt in range(3):
                try:
                    return await client.request(method, url)
                except httpx.PoolTimeout:
                    raise
                except httpx.TransportError:
                    if attempt == 2:
                        raise
    except httpx.PoolTimeout:
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except (httpx.TimeoutException, TimeoutError):
        raise HTTPException(504) from None
    except httpx.TransportError:
        raise HTTPException(502) from None
