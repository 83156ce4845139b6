"""It looks for the token in the cache before it asks whose it is."""

import json
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "a hit must not skip the check of the token"


def make_app(user_of, account_of, redis):
    app = FastAPI()

    @app.get("/account")
    async def account(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        token = credentials.credentials
        stored = await redis.get(f"account:{token}")
        if stored is None:
            user = user_of(token)
            if user is None:
                raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
            stored = json.dumps(await account_of(user)).encode()
            await redis.set(f"account:{token}", stored, ex=60)
        headers = {"Cache-Control": "private, max-age=60", "Vary": "Authorization"}
        return Response(stored, media_type="application/json", headers=headers)

    return app
