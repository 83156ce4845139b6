"""The body is a parameter, so it is parsed before any dependency runs."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

REFUSED_WITH = "a declared body is read and parsed before any dependency"


def make_app(user_of):
    class Item(BaseModel):
        name: str
        price: Annotated[float, Field(gt=0)]

    def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    app = FastAPI()

    @app.post("/items")
    async def create(item: Item, user: Annotated[str, Depends(known)]):
        return {"by": user, "price": item.price}

    return app
