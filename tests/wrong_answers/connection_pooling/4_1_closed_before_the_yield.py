"""The block that closes the client ends before the app runs."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

REFUSED_WITH = "closed before the first request"


def create_app(make_client):
    @asynccontextmanager
    async def lifespan(app):
        async with make_client() as client:
            state = {"client": client}
        yield state

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home(request: Request):
        return (await request.state.client.get("http://upstream/price")).json()

    return app
