"""An upper bound for every request's body, and a higher one for the one route that takes uploads.

Shows:  `max_body_size`: a declared length above it is refused unread, a chunked body as soon as it has grown past it.
Costs:  an addition a chunk. A body within the limit is still read before any dependency runs.
Needs:  fastapi uvicorn
Run:    MAX_BODY_SIZE=1000 uvicorn body_limit:app    then    curl -i http://127.0.0.1:8000/upload
        the answer is 405: post something, as in  curl -i --data-binary @FILE http://127.0.0.1:8000/note
"""

import os
from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException, Request

Bytes = Annotated[bytes, Body(media_type="application/octet-stream")]


def authenticated(request: Request) -> None:
    if request.headers.get("authorization") != "Bearer good":  # chapter 07 does this well
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})


def create_app(limit: int | None) -> FastAPI:
    """`limit` in bytes; None is the default of FastAPI, no limit at all."""
    app = FastAPI(max_body_size=limit, dependencies=[Depends(authenticated)])

    @app.post("/note")
    async def note(body: Bytes) -> dict[str, int]:
        return {"bytes": len(body)}

    @app.post("/upload", max_body_size=limit and 8 * limit)
    async def upload(body: Bytes) -> dict[str, int]:
        return {"bytes": len(body)}

    return app


app = create_app(int(os.environ.get("MAX_BODY_SIZE", 1024 * 1024)))
