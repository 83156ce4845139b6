"""The model is so careful that the email is gone."""

from fastapi import FastAPI
from pydantic import BaseModel

REFUSED_WITH = "name and email, as before"


def make_app(users):
    class User(BaseModel):
        name: str

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
