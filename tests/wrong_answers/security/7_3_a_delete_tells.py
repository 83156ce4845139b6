"""The text of a refused DELETE tells that the order is there."""

from typing import Annotated

from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

REFUSED_WITH = "not yours"


def make_app(user_of, orders):
    async def current_user(credentials: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]):
        user = user_of(credentials.credentials)
        if user is None:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
        return user

    User = Annotated[str, Depends(current_user)]

    async def own(number: int, user: User):
        if number not in orders or orders[number]["owner"] != user:
            raise HTTPException(404)
        return orders[number]

    app = FastAPI()

    @app.get("/orders")
    async def every(user: User):
        return [order for order in orders.values() if order["owner"] == user]

    @app.get("/orders/{number}")
    async def one(order: Annotated[dict, Depends(own)]):
        return order

    @app.delete("/orders/{number}")
    async def cancel(number: int, user: User):
        if number not in orders:
            raise HTTPException(404)
        if orders[number]["owner"] != user:
            raise HTTPException(404, "not yours")
        return orders.pop(number)

    @app.post("/orders")
    async def create(order: Annotated[dict, Body()], user: User):
        number = max(orders, default=0) + 1
        orders[number] = {"owner": user, "item": order["item"]}
        return number

    return app
