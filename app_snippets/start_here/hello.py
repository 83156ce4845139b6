"""A small FastAPI app that says where it ran.

Shows:  a path parameter with a rule, a lifespan that runs once, and the thread that answers.
Costs:  nothing beyond FastAPI itself.
Needs:  fastapi uvicorn
Run:    uvicorn hello:app    then    curl -i http://127.0.0.1:8000/hello/Ada
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, Path, Request


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.started = True  # a real service opens its pools here
    yield
    app.state.started = False  # and closes them here


app = FastAPI(lifespan=lifespan)
app.state.started = False


@app.get("/hello/{name}")
async def hello(name: Annotated[str, Path(max_length=40)]) -> dict[str, str]:
    return {"hello": name}


@app.get("/where")
async def where(request: Request) -> dict[str, object]:
    return {"thread": threading.current_thread().name, "lifespan_ran": request.app.state.started}
