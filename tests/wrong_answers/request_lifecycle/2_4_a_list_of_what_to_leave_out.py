"""What must not go out is named, and the next secret is not on the list."""

from fastapi import FastAPI

REFUSED_WITH = "a list of what to leave out forgets"


def make_app(users):
    app = FastAPI()

    def without_secrets(user):
        return {key: value for key, value in user.items() if key not in {"password_hash", "password"}}

    @app.get("/users/{name}")
    async def one(name: str):
        return without_secrets(users[name])

    @app.get("/users")
    async def everyone():
        return [without_secrets(user) for user in users.values()]

    @app.get("/team")
    async def team():
        return {"lead": without_secrets(users["ada"]), "members": [without_secrets(user) for user in users.values()]}

    return app
