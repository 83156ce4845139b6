"""A slow service to call: it answers after a wait, or once everybody who can come is there.

Shows:  a stand-in for the database, the supplier or the model that a real endpoint waits for.
Costs:  a timer a request: thousands may wait at once.
Needs:  fastapi uvicorn
Run:    uvicorn slow_upstream:app    then    curl -i "http://127.0.0.1:8000/wait?seconds=0.1"
"""

import asyncio
from typing import Annotated

from fastapi import FastAPI, Query

Seconds = Annotated[float, Query(ge=0, le=10)]

app = FastAPI()
app.state.last_call = 0.0


@app.get("/wait")
async def wait(seconds: Seconds = 0.1) -> dict[str, float]:
    """Answers after `seconds`."""
    await asyncio.sleep(seconds)
    return {"waited": seconds}


@app.get("/hold")
async def hold(quiet: Seconds = 0.1) -> dict[str, float]:
    """Holds every call until none has come for `quiet` seconds: what can overlap does, on a slow machine too."""
    clock = asyncio.get_running_loop().time
    app.state.last_call = came = clock()
    while (left := app.state.last_call + quiet - clock()) > 0:  # noqa: ASYNC110 - a newcomer moves the end
        await asyncio.sleep(left)
    return {"held": clock() - came}
