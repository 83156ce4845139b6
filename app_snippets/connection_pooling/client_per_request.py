"""A new HTTP client for every request: the way of most first examples, here to be counted and timed.

Shows:  what `async with httpx.AsyncClient()` inside an endpoint opens, and throws away.
Costs:  for each request the certificates of all authorities are read, and a connection is opened and closed.
Needs:  fastapi httpx uvicorn
Run:    uvicorn client_per_request:app    then    curl -i http://127.0.0.1:8000/
        UPSTREAM_URL names the service to call; until something listens there the answer is 502.
"""

import os
import ssl

import httpx
from fastapi import FastAPI, HTTPException, Response


def create_app(upstream: str, verify: ssl.SSLContext | bool = True) -> FastAPI:
    """A ready `ssl.SSLContext` saves the reading of certificates, and nothing else."""
    app = FastAPI()

    @app.get("/")
    async def home() -> Response:
        try:
            async with httpx.AsyncClient(verify=verify) as client:
                response = await client.get(upstream)
        except httpx.HTTPError as error:
            raise HTTPException(502, f"upstream: {type(error).__name__}") from None
        return Response(response.content, response.status_code, media_type=response.headers.get("content-type"))

    return app


app = create_app(os.environ.get("UPSTREAM_URL", "http://127.0.0.1:8001/"))
