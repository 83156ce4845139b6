"""How many `def` endpoints may run at once: a setting, made in lifespan.

Shows:  AnyIO's limiter, from which Starlette takes a thread for each `def` endpoint, dependency and file.
Costs:  a thread each; and what they hold. A limit above your database pool only moves the queue there.
Needs:  fastapi uvicorn
Run:    THREADS=60 uvicorn thread_limit:app    then    curl -i http://127.0.0.1:8000/threads
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    current_default_thread_limiter().total_tokens = int(os.environ.get("THREADS", "40"))
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/threads")
async def threads() -> dict[str, float]:
    limiter = current_default_thread_limiter()
    return {"limit": limiter.total_tokens, "in_use": limiter.borrowed_tokens}
