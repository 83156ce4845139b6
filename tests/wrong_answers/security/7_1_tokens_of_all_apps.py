"""The tokens are kept for all apps together."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "those that make_app was given, for that app alone"


known_tokens = set()


def make_app(tokens):
    known_tokens.update(token.encode() for token in tokens)

    async def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        if not any(secrets.compare_digest(credentials.credentials.encode(), token) for token in known_tokens):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
