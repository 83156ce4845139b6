"""Nothing is cached."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "the second is a hit"


def make_app(user_of, account_of, redis):
    async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    app = FastAPI()

    @app.get("/account")
    async def account(user: Annotated[str, Depends(current_user)], response: Response):
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["Vary"] = "Authorization"
        return await account_of(user)

    return app
