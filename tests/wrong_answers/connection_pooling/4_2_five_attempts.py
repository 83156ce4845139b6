"""A GET may be repeated, but not that often."""

import asyncio

import httpx
from fastapi import HTTPException

REFUSED_WITH = "GETs reached the upstream"


async def call(client, method, url):
    attempts = 5 if method == "GET" else 1
    try:
        async with asyncio.timeout(1):
            for left in reversed(range(attempts)):
                try:
                    return await client.request(method, url)
                except httpx.RemoteProtocolError:
                    if not left:
                        raise
    except httpx.PoolTimeout:
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except (httpx.TimeoutException, TimeoutError):
        raise HTTPException(504) from None
    except httpx.TransportError:
        raise HTTPException(502) from None
