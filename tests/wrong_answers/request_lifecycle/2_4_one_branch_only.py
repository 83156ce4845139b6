"""The key is deleted by hand, in one of three endpoints."""

from fastapi import FastAPI

REFUSED_WITH = "a deletion has to be remembered each time"


def make_app(users):
    app = FastAPI()

    @app.get("/users/{name}")
    async def one(name: str):
        return {key: value for key, value in users[name].items() if key != "password_hash"}

    @app.get("/users")
    async def everyone():
        return list(users.values())

    @app.get("/team")
    async def team():
        return {"lead": users["ada"], "members": list(users.values())}

    return app
