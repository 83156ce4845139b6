"""Calls that may be repeated without harm are repeated, a few times and at scattered moments. A POST is sent once.

Shows:  a transport around httpx's own, so that no endpoint knows of it: at most `attempts`, full jitter.
Costs:  up to `attempts` calls on an upstream that is already in trouble. In one layer only: three times three is nine.
Needs:  fastapi httpx uvicorn
Run:    uvicorn retries:app    then    curl -i http://127.0.0.1:8000/
        UPSTREAM_URL names the service to call; until something listens there the answer is 502.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, HTTPException, Request, Response

IDEMPOTENT = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}  # RFC 9110, 9.2.2: twice is as good as once
PASSING = {502, 503, 504}  # troubles that may pass


class RetryTransport(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, *, attempts: int = 3, backoff: float = 0.1) -> None:
        self.inner, self.attempts, self.backoff = inner, attempts, backoff

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        # A body that is read from elsewhere cannot be sent again.
        again = request.method in IDEMPOTENT and isinstance(request.stream, httpx.ByteStream)
        for left in reversed(range(self.attempts if again else 1)):
            try:
                response = await self.inner.handle_async_request(request)
                if response.status_code not in PASSING or not left:
                    return response
                await response.aclose()  # or it would keep its connection
            except httpx.PoolTimeout:
                raise  # we are too many already
            except httpx.TransportError:
                if not left:
                    raise
            longest = self.backoff * 2 ** (self.attempts - 1 - left)
            await asyncio.sleep(random.uniform(0, longest))  # scattered, or all would come back at once
        raise AssertionError

    async def aclose(self) -> None:
        await self.inner.aclose()


def create_app(upstream: str, *, whole: float = 3.0) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, object]]:
        async with httpx.AsyncClient(transport=RetryTransport(httpx.AsyncHTTPTransport()), timeout=1) as client:
            yield {"client": client}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    @app.post("/")
    async def home(request: Request) -> Response:
        try:
            async with asyncio.timeout(whole):  # all attempts together
                response = await request.state.client.request(request.method, upstream)
        except TimeoutError:
            raise HTTPException(504, "upstream: too slow") from None
        except httpx.HTTPError as error:
            raise HTTPException(502, f"upstream: {type(error).__name__}") from None
        media_type = response.headers.get("content-type")
        return Response(response.content, response.status_code, media_type=media_type)

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/"))
