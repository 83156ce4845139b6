"""An upload that is not read until its sender is known.

Shows:  an endpoint that declares no body reads it itself, after its dependencies: chunk by chunk, with a limit.
Costs:  what a declared body gives you: its validation and its place in the docs.
Needs:  fastapi uvicorn
Run:    uvicorn auth_before_body:app    then    curl -i http://127.0.0.1:8000/upload
        the answer is 405: curl -i -T FILE -X POST -H "Authorization: Bearer good" http://127.0.0.1:8000/upload
"""

from hashlib import sha256
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer


def authenticated(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
    if credentials.credentials != "good":  # chapter 07 does this well
        raise HTTPException(401, "unknown token", headers={"WWW-Authenticate": "Bearer"})
    return "ada"


app = FastAPI(max_body_size=64 * 1024 * 1024)


@app.post("/upload")
async def upload(request: Request, user: Annotated[str, Depends(authenticated)]) -> dict[str, object]:
    """No parameter is a body, so FastAPI has read nothing of it when this runs."""
    size, digest = 0, sha256()
    async for chunk in request.stream():
        size += len(chunk)
        digest.update(chunk)
    return {"user": user, "bytes": size, "sha256": digest.hexdigest()}
