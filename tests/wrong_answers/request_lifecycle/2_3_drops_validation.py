"""The body is taken as it comes."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "status 200"


def make_app(user_of):
    def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    app = FastAPI()

    @app.post("/items")
    async def create(request: Request, user: Annotated[str, Depends(known)]):
        item = await request.json()
        return {"by": user, "price": item["price"]}

    return app
