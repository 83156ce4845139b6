"""An upstream that sends a byte now and then is waited for without end."""

import httpx
from fastapi import HTTPException

REFUSED_WITH = "whose upstream drips"


async def call(client, method, url):
    try:
        return await client.request(method, url)
    except httpx.PoolTimeout:
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except httpx.TimeoutException:
        raise HTTPException(504) from None
    except httpx.TransportError:
        raise HTTPException(502) from None
