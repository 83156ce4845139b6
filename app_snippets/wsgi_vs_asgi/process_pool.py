"""Work for the processor, in an endpoint and in a pool of processes.

Shows:  why no kind of handler makes computing overlap in one process, and what does.
Costs:  a process a worker (import time, memory), and pickling what goes in and out.
Needs:  fastapi uvicorn
Run:    uvicorn process_pool:app    then    curl -i "http://127.0.0.1:8000/pool?loops=100000"
"""

import asyncio
import multiprocessing
import os
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from time import thread_time
from typing import Annotated

from fastapi import FastAPI, Query, Request

WORKERS = 2
Loops = Annotated[int, Query(ge=1, le=20_000_000)]
Work = dict[str, float]


def compute(loops: int) -> Work:
    """Keeps one core busy; says in which process, and for how many CPU seconds of it."""
    started = thread_time()
    sum(number * number for number in range(loops))
    return {"pid": os.getpid(), "cpu": thread_time() - started}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    spawn = multiprocessing.get_context("spawn")  # a fork would copy locks held by other threads
    all_up = spawn.Barrier(WORKERS)  # the pool starts a process only when none is idle: here each waits for the others
    with ProcessPoolExecutor(WORKERS, spawn, initializer=all_up.wait, initargs=(30,)) as app.state.pool:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*[loop.run_in_executor(app.state.pool, compute, 1) for _ in range(WORKERS)])
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/async")
async def on_the_loop(loops: Loops) -> Work:
    return compute(loops)


@app.get("/def")
def in_a_thread(loops: Loops) -> Work:
    return compute(loops)


@app.get("/pool")
async def in_a_process(request: Request, loops: Loops) -> Work:
    return await asyncio.get_running_loop().run_in_executor(request.app.state.pool, compute, loops)
