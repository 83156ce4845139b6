"""Whatever is wrong with the body, the client is told that it is unknown."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

REFUSED_WITH = "whoever may ask gets the errors of the body"


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

    @app.exception_handler(RequestValidationError)
    async def look_at_the_token_now(request: Request, error: RequestValidationError):
        return JSONResponse({"detail": "who are you?"}, 401, {"WWW-Authenticate": "Bearer"})

    @app.post("/items")
    async def create(item: Item, user: Annotated[str, Depends(known)]):
        return {"by": user, "price": item.price}

    return app
