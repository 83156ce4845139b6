"""A dependency makes a client for each request."""

from typing import Annotated

from fastapi import Depends, FastAPI

REFUSED_WITH = "6 clients by 6 requests"


def create_app(make_client):
    app = FastAPI()

    async def new_client():
        async with make_client() as client:
            yield client

    @app.get("/")
    async def home(client: Annotated[object, Depends(new_client)]):
        return (await client.get("http://upstream/price")).json()

    return app
