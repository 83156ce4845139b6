"""The first request makes the client that all share."""

from contextlib import asynccontextmanager

from fastapi import FastAPI

REFUSED_WITH = "1 client by 6 requests"


def create_app(make_client):
    clients = []

    @asynccontextmanager
    async def lifespan(app):
        yield
        while clients:
            await clients.pop().aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home():
        if not clients:
            clients.append(make_client())
        return (await clients[0].get("http://upstream/price")).json()

    return app
