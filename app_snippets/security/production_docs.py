"""The docs and the schema are off, unless a developer turns them on.

Shows:  openapi_url=None takes /openapi.json away, and /docs and /redoc with it. Off is the default: who forgets to set
        it is safe.
Costs:  clients that read the schema at run time. Publish it from CI instead: json.dumps(create_app().openapi()).
        It hides paths, and protects none: who guesses one is answered as before.
Needs:  fastapi uvicorn pydantic-settings
Run:    uvicorn --factory production_docs:create_app    then    curl -i http://127.0.0.1:8000/docs
        the answer is 404 in production. At your desk it is there: DOCS=true, before the command.
"""

from fastapi import FastAPI
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    docs: bool = False


def create_app(settings: Settings | None = None) -> FastAPI:
    settings = settings or Settings()
    app = FastAPI(openapi_url="/openapi.json" if settings.docs else None)

    @app.get("/")
    async def home() -> dict[str, str]:
        return {"hello": "world"}

    return app
