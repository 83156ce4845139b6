"""The hash is deleted from the data itself: nobody will log in any more."""

from fastapi import FastAPI

REFUSED_WITH = "the next login needs the hash"


def make_app(users):
    app = FastAPI()
    for user in users.values():
        for key in set(user) - {"name", "email"}:
            del user[key]

    @app.get("/users/{name}")
    async def one(name: str):
        return users[name]

    @app.get("/users")
    async def everyone():
        return list(users.values())

    @app.get("/team")
    async def team():
        return {"lead": users["ada"], "members": list(users.values())}

    return app
