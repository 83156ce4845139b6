"""The client is made where the app is made, and lifespan only closes it."""

from contextlib import asynccontextmanager

from fastapi import FastAPI

REFUSED_WITH = "made before the app was started"


def create_app(make_client):
    client = make_client()

    @asynccontextmanager
    async def lifespan(app):
        yield
        await client.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home():
        return (await client.get("http://upstream/price")).json()

    return app
