"""The key names the path only."""

import json
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "the key must name the user"


def make_app(user_of, account_of, redis):
    async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    app = FastAPI()

    @app.get("/account")
    async def account(user: Annotated[str, Depends(current_user)]):
        key = "account"
        stored = await redis.get(key)
        if stored is None:
            stored = json.dumps(await account_of(user)).encode()
            await redis.set(key, stored, ex=60)
        headers = {"Cache-Control": "private, max-age=60", "Vary": "Authorization"}
        return Response(stored, media_type="application/json", headers=headers)

    return app
