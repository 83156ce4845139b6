"""The same endpoint three times: Starlette alone, Starlette with Pydantic, FastAPI.

Shows:  what FastAPI adds: it calls Pydantic for you, and answers 422 where the others answer 500 or by hand.
Costs:  see the chapter: each layer's price is measured there.
Needs:  fastapi uvicorn
Run:    uvicorn layers:app    then    curl -i "http://127.0.0.1:8000/fastapi/?number=21"
"""

from fastapi import FastAPI
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route


async def by_starlette(request: Request) -> Response:
    """Routing, a request object, a response object. The rest is yours: "x" is an unhandled ValueError, a 500."""
    return JSONResponse({"double": 2 * int(request.query_params["number"])})


class Query(BaseModel):
    number: int


async def by_pydantic(request: Request) -> Response:
    """Pydantic converts and explains; calling it, and answering for it, is still yours."""
    try:
        query = Query.model_validate(request.query_params)
    except ValidationError as error:
        return JSONResponse({"detail": error.errors(include_url=False)}, status_code=422)
    return JSONResponse({"double": 2 * query.number})


fastapi = FastAPI()


@fastapi.get("/")
async def by_fastapi(number: int) -> dict[str, int]:
    """The signature says it all."""
    return {"double": 2 * number}


app = Starlette(routes=[Route("/starlette", by_starlette), Route("/pydantic", by_pydantic), Mount("/fastapi", fastapi)])
