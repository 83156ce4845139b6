"""compare_digest raises for text that is not ASCII."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "comparing strings with non-ASCII characters"


def make_app(tokens):
    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        if not any(secrets.compare_digest(credentials.credentials, token) for token in tokens):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
