"""The model that filters has the hash among its fields."""

from fastapi import FastAPI
from pydantic import BaseModel

REFUSED_WITH = "it must not name this"


def make_app(users):
    class User(BaseModel):
        name: str
        email: str
        password_hash: str

    class Team(BaseModel):
        lead: User
        members: list[User]

    app = FastAPI()

    @app.get("/users/{name}", response_model=User)
    async def one(name: str):
        return users[name]

    @app.get("/users", response_model=list[User])
    async def everyone():
        return list(users.values())

    @app.get("/team", response_model=Team)
    async def team():
        return {"lead": users["ada"], "members": list(users.values())}

    return app
