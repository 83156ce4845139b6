"""CORS headers on the 500 as well: the page reads "500", not "blocked by CORS".

Shows:  CORSMiddleware around the whole app. Added with `add_middleware` it stands inside the layer that makes the 500.
Costs:  `app` is no FastAPI any more: routes, state and overrides of dependencies are on `api`.
Needs:  fastapi uvicorn
Run:    uvicorn cors_on_errors:app    then    curl -i http://127.0.0.1:8000/works
        curl -i -H "Origin: https://app.example.com" http://127.0.0.1:8000/fails
        ALLOWED_ORIGINS names the pages, as in ALLOWED_ORIGINS=https://app.example.com,http://localhost:5173
"""

import os
from collections.abc import Sequence

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware


def create_api() -> FastAPI:
    api = FastAPI()

    @api.get("/fails")
    async def fails() -> None:
        raise RuntimeError("a bug")

    @api.get("/works")
    async def works() -> dict[str, str]:
        return {"hello": "world"}

    return api


def with_cors(api: FastAPI, allowed_origins: Sequence[str]) -> CORSMiddleware:
    """`api` and every response of it, with CORS headers for these origins. Lifespan and websockets pass through."""
    return CORSMiddleware(api, allow_origins=allowed_origins, allow_credentials=True)


app = with_cors(create_api(), os.environ.get("ALLOWED_ORIGINS", "https://app.example.com").split(","))
