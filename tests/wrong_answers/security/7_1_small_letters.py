"""Capitals of the token make no difference."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "in the other capitals"


def make_app(tokens):
    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        given = credentials.credentials.lower().encode()
        if not any(secrets.compare_digest(given, token.lower().encode()) for token in tokens):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
