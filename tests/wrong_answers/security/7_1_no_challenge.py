"""A 401 without the header that says how to do it right."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "no WWW-Authenticate"


def make_app(tokens):
    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        given = credentials.credentials.encode()
        if not any(secrets.compare_digest(given, token.encode()) for token in tokens):
            raise HTTPException(401, "wrong token")

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
