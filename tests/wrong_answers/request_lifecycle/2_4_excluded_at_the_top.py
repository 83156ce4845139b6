"""The hash is excluded, which reaches the top of the response only."""

from fastapi import FastAPI
from pydantic import BaseModel

REFUSED_WITH = "response_model_exclude sees its top only"


def make_app(users):
    class User(BaseModel):
        name: str
        email: str
        password_hash: str

    class Team(BaseModel):
        lead: User
        members: list[User]

    app = FastAPI()

    @app.get("/users/{name}", response_model=User, response_model_exclude={"password_hash"})
    async def one(name: str):
        return users[name]

    @app.get("/users", response_model=list[User], response_model_exclude={"__all__": {"password_hash"}})
    async def everyone():
        return list(users.values())

    @app.get("/team", response_model=Team, response_model_exclude={"password_hash"})
    async def team():
        return {"lead": users["ada"], "members": list(users.values())}

    return app
