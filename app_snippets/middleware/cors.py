"""CORS for a page of yours that calls this API with cookies or a token.

Shows:  CORSMiddleware with everything named: origins, methods, headers. Never `*` together with credentials.
Costs:  a few microseconds a request, and a preflight from the browser every `max_age` seconds.
Needs:  fastapi uvicorn
Run:    uvicorn cors:app    then    curl -i http://127.0.0.1:8000/account
        ALLOWED_ORIGINS names the pages, as in ALLOWED_ORIGINS=https://app.example.com,http://localhost:5173
        CORS tells browsers what a page may read. It keeps nobody out: who may do what is for your security code.
"""

import os
import re
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?")


def create_app(allowed_origins: Sequence[str]) -> FastAPI:
    """Raises ValueError for what is no origin: a `*`, a path, or a slash at the end, which no browser ever sends."""
    for origin in allowed_origins:
        if not ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin!r} is not an origin: write it as https://app.example.com, without a path")
    app = FastAPI()
    app.add_middleware(
        CORSMiddleware,
        allow_origins=allowed_origins,
        allow_credentials=True,  # cookies and HTTP authentication
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "X-Request-ID"],  # what the page may send beyond the simple ones
        expose_headers=["X-Request-ID"],  # what the page may read beyond the simple ones
        max_age=600,  # seconds for which a browser may keep the preflight's answer
    )

    @app.get("/account")
    async def account() -> dict[str, int]:
        return {"balance": 100}

    @app.post("/transfer")
    async def transfer(amount: int) -> dict[str, int]:
        return {"balance": 100 - amount}

    return app


app = create_app(os.environ.get("ALLOWED_ORIGINS", "https://app.example.com").split(","))
