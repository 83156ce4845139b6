"""Lifespan makes a client, and the endpoint still makes its own."""

from contextlib import asynccontextmanager

from fastapi import FastAPI

REFUSED_WITH = "6 clients more for 6 requests"


def create_app(make_client):
    @asynccontextmanager
    async def lifespan(app):
        async with make_client() as app.state.client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home():
        async with make_client() as client:
            return (await client.get("http://upstream/price")).json()

    return app
