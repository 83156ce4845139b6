"""A client may write the scheme in small letters."""

import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException

REFUSED_WITH = "names of schemes have no capitals that matter"


def make_app(tokens):
    async def known(authorization: Annotated[str, Header()] = ""):
        given = authorization.removeprefix("Bearer ").encode()
        if not any(secrets.compare_digest(given, token.encode()) for token in tokens):
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known)])
    async def account():
        return {"hello": "caller"}

    return app
