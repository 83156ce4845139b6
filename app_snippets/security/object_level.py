"""Whose order is it? Another's is answered like one that does not exist, and the owner comes from the token.

Shows:  one dependency finds the order *and* its owner: an endpoint cannot have the one without the other. A body that
        names an owner is refused.
Costs:  a condition in the query. Help desks, who may see the orders of others, need endpoints of their own.
Needs:  fastapi uvicorn pydantic-settings
Run:    USERS='{"the-token-of-alice":"alice","the-token-of-bob":"bob"}' \
        uvicorn --factory object_level:create_app    then    curl -i http://127.0.0.1:8000/orders
        the answer is 401, and with -H "Authorization: Bearer the-token-of-alice" it is 200.
"""

from collections.abc import Mapping
from hashlib import sha256
from itertools import count
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(hide_input_in_errors=True)
    users: dict[str, str]  # USERS, as JSON: the user of each token


class NewOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")  # "owner": "bob" is a 422, not a thing that is quietly ignored
    item: str


class Order(NewOrder):
    number: int
    owner: str


def digest(token: str) -> bytes:
    return sha256(token.encode()).digest()


def create_app(users: Mapping[str, str] | None = None) -> FastAPI:
    try:
        known = {digest(token): user for token, user in (users or Settings().users).items()}
    except ValueError:
        raise SystemExit('USERS is not set, or no JSON, {"token": "alice"}') from None
    app, orders, numbers = FastAPI(), dict[int, Order](), count(1)  # a table of your database

    async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]) -> str:
        if (user := known.get(digest(credentials.credentials))) is None:
            raise HTTPException(401, "unknown token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return user

    User = Annotated[str, Depends(current_user)]

    async def own(number: int, user: User) -> Order:
        order = orders.get(number)  # SELECT … WHERE number = :number AND owner = :user
        if order is None or order.owner != user:
            raise HTTPException(404, "no such order")  # a 403 would tell that there is one
        return order

    @app.post("/orders", status_code=201, responses={400: {}, 401: {}})
    async def create(new: NewOrder, user: User) -> Order:
        order = Order(number=next(numbers), owner=user, item=new.item)
        return orders.setdefault(order.number, order)

    @app.get("/orders", responses={401: {}})
    async def mine(user: User) -> list[Order]:
        return [order for order in orders.values() if order.owner == user]

    @app.get("/orders/{number}", responses={401: {}, 404: {}})
    async def one(order: Annotated[Order, Depends(own)]) -> Order:
        return order

    @app.delete("/orders/{number}", responses={401: {}, 404: {}})
    async def cancel(order: Annotated[Order, Depends(own)]) -> Order:
        return orders.pop(order.number)

    return app
