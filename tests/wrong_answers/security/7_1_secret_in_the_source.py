"""The token stands in the source, and those that are given are ignored."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "the first token"


def make_app(tokens):
    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        if not secrets.compare_digest(credentials.credentials.encode(), b"the-token-in-the-source"):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
