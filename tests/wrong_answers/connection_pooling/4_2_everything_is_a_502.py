"""Every failure is a bad gateway."""

import httpx
from fastapi import HTTPException

REFUSED_WITH = "HTTPException 502"


async def call(client, method, url):
    try:
        return await client.request(method, url)
    except httpx.HTTPError:
        raise HTTPException(502) from None
