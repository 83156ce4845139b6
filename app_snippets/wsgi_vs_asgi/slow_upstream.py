"""A slow service to call: it answers after as long as it is asked to wait.

Shows:  a stand-in for the database, the supplier or the model that a real endpoint waits for.
Costs:  a timer a request: thousands may wait at once.
Needs:  fastapi uvicorn
Run:    uvicorn slow_upstream:app    then    curl -i "http://127.0.0.1:8000/wait?seconds=0.1"
"""

import asyncio
from typing import Annotated

from fastapi import FastAPI, Query

app = FastAPI()


@app.get("/wait")
async def wait(seconds: Annotated[float, Query(ge=0, le=10)] = 0.1) -> dict[str, float]:
    await asyncio.sleep(seconds)
    return {"waited": seconds}
