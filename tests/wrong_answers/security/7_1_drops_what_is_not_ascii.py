"""What is not ASCII is left out before it is compared."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "a good token and an é"


def make_app(tokens):
    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        given = credentials.credentials.encode("ascii", "ignore")
        if not any(secrets.compare_digest(given, token.encode()) for token in tokens):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
