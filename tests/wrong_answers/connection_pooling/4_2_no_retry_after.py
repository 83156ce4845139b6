"""A full pool is a 503 that does not say when to come back."""

import asyncio

import httpx
from fastapi import HTTPException

REFUSED_WITH = "503 without Retry-After"


async def call(client, method, url):
    try:
        async with asyncio.timeout(1):
            return await client.request(method, url)
    except httpx.PoolTimeout:
        raise HTTPException(503) from None
    except (httpx.TimeoutException, TimeoutError):
        raise HTTPException(504) from None
    except httpx.TransportError:
        raise HTTPException(502) from None
