"""The endpoint enters the shared client as if it were its own."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

REFUSED_WITH = "raised RuntimeError"


def create_app(make_client):
    @asynccontextmanager
    async def lifespan(app):
        client = make_client()
        yield {"client": client}
        await client.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home(request: Request):
        async with request.state.client as client:
            return (await client.get("http://upstream/price")).json()

    return app
