"""One endpoint at which everything can be wrong at once: path, query, header, body, content type and token.

Shows:  which error a client is told when there are several, and what has run by then (`report` hears of it).
Costs:  nothing; knowing the order saves a search.
Needs:  fastapi uvicorn
Run:    uvicorn error_precedence:app    then    curl -i http://127.0.0.1:8000/items/x
        the answer is 405: the method comes first. Add -X POST, then the token "good", and so on.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field


class Item(BaseModel):
    price: Annotated[float, Field(gt=0)]


def create_app(report: Callable[[str], object]) -> FastAPI:
    app = FastAPI()

    async def authenticated(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        """HTTPBearer answers 401 when there is no token; whether the token is any good is for us to say."""
        report("authenticated")
        if credentials.credentials != "good":  # chapter 07 compares in constant time, and keeps no token in the source
            raise HTTPException(401, "unknown token", headers={"WWW-Authenticate": "Bearer"})
        return "ada"

    @app.post("/items/{number}")
    async def replace(
        number: int,
        size: int,
        x_tenant: Annotated[int, Header()],
        item: Item,
        user: Annotated[str, Depends(authenticated)],
    ) -> dict[str, object]:
        report("endpoint")
        return {"user": user, "price": item.price}

    return app


app = create_app(print)
