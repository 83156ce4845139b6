"""A hit goes out without the headers of a miss."""

import json
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "no Cache-Control"


def make_app(user_of, account_of, redis):
    async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    app = FastAPI()

    @app.get("/account")
    async def account(user: Annotated[str, Depends(current_user)], response: Response):
        stored = await redis.get(f"account:{user}")
        if stored is not None:
            return Response(stored, media_type="application/json")
        result = await account_of(user)
        await redis.set(f"account:{user}", json.dumps(result), ex=60)
        response.headers["Cache-Control"] = "private, max-age=60"
        response.headers["Vary"] = "Authorization"
        return result

    return app
