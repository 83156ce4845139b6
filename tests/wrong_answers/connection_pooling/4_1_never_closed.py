"""Lifespan makes the client and nobody closes it."""

from contextlib import asynccontextmanager

from fastapi import FastAPI, Request

REFUSED_WITH = "the client is still open"


def create_app(make_client):
    @asynccontextmanager
    async def lifespan(app):
        yield {"client": make_client()}

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home(request: Request):
        return (await request.state.client.get("http://upstream/price")).json()

    return app
