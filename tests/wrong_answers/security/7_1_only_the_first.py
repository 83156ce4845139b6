"""Of several tokens one is good."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "the second token"


def make_app(tokens):
    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        if not secrets.compare_digest(credentials.credentials.encode(), tokens[0].encode()):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
