"""Fields are validated, but JSON that breaks off is nobody's case."""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field, ValidationError

REFUSED_WITH = "from JSONDecodeError"


def make_app(user_of):
    class Item(BaseModel):
        name: str
        price: Annotated[float, Field(gt=0)]

    def known(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    async def parsed(request: Request, user: Annotated[str, Depends(known)]):
        try:
            return Item.model_validate(await request.json())
        except ValidationError as error:
            raise RequestValidationError(error.errors(include_input=False)) from None

    app = FastAPI()

    @app.post("/items")
    async def create(user: Annotated[str, Depends(known)], item: Annotated[Item, Depends(parsed)]):
        return {"by": user, "price": item.price}

    return app
