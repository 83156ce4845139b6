"""A PoolTimeout is caught as the TimeoutException that it is too."""

import asyncio

import httpx
from fastapi import HTTPException

REFUSED_WITH = "HTTPException 504"


async def call(client, method, url):
    try:
        async with asyncio.timeout(1):
            return await client.request(method, url)
    except (httpx.TimeoutException, TimeoutError):
        raise HTTPException(504) from None
    except httpx.PoolTimeout:
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except httpx.TransportError:
        raise HTTPException(502) from None
