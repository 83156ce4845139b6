"""The error handler looks at the token, when the body has been read long since."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exception_handlers import request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

REFUSED_WITH = "after 27 bytes of the body were read"


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
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if user_of(token) is None:
            return JSONResponse({"detail": "who are you?"}, 401, {"WWW-Authenticate": "Bearer"})
        return await request_validation_exception_handler(request, error)

    @app.post("/items")
    async def create(item: Item, user: Annotated[str, Depends(known)]):
        return {"by": user, "price": item.price}

    return app
