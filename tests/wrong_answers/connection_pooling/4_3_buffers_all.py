"""The whole body is read before the first part is passed on."""

from fastapi import FastAPI, Response

REFUSED_WITH = "nothing at the client until the upstream had ended"


def create_proxy(client, url):
    app = FastAPI()

    @app.get("/")
    async def proxy():
        response = await client.get(url)
        return Response(response.content, response.status_code, media_type=response.headers["content-type"])

    return app
