"""Everything is caught, the cancellation as well."""

import asyncio

import httpx
from fastapi import HTTPException

REFUSED_WITH = "no CancelledError"


async def call(client, method, url):
    try:
        async with asyncio.timeout(1):
            return await client.request(method, url)
    except httpx.PoolTimeout:
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except (httpx.TimeoutException, TimeoutError):
        raise HTTPException(504) from None
    except BaseException:
        raise HTTPException(502) from None
