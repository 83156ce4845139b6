"""An app whose every stage says when it runs, so that the order of a request is seen, not believed.

Shows:  validators of path, query, header, cookie and body, dependencies, both exit stacks, endpoint, response, task.
Costs:  a call of `report` a stage, and FastAPI's own spans where `telemetry` names a tracer provider.
Needs:  fastapi uvicorn
Run:    uvicorn stages:app    then    curl -i http://127.0.0.1:8000/openapi.json
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

from fastapi import BackgroundTasks, Cookie, Depends, FastAPI, Header, HTTPException
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel, BeforeValidator, PlainSerializer


def create_app(report: Callable[[str], object], telemetry: TelemetryConfig | None = None) -> FastAPI:
    def says(stage: str) -> Callable[[Any], Any]:
        return lambda value: (report(stage), value)[1]

    async def token(
        authorization: Annotated[str | None, BeforeValidator(says("token validator")), Header()] = None,
    ) -> None:
        report("dependency token")
        if not authorization:
            raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})

    def resource(name: str) -> Callable[..., AsyncIterator[None]]:
        async def opened(_: Annotated[None, Depends(token)]) -> AsyncIterator[None]:
            report(f"{name} scope enters")
            try:
                yield
            finally:
                report(f"{name} scope exits")

        return opened

    class Item(BaseModel):
        name: Annotated[str, BeforeValidator(says("body validator"))]

    scopes = [Depends(resource("request"), scope="request"), Depends(resource("function"), scope="function")]
    app = FastAPI(telemetry=telemetry, dependencies=scopes)

    @app.post("/items/{number}")
    async def sell(
        number: Annotated[int, BeforeValidator(says("path validator"))],
        limit: Annotated[int, BeforeValidator(says("query validator"))],
        kind: Annotated[int, BeforeValidator(says("header validator")), Header()],
        session: Annotated[int, BeforeValidator(says("cookie validator")), Cookie()],
        item: Item,
        tasks: BackgroundTasks,
    ) -> Annotated[str, BeforeValidator(says("response validator")), PlainSerializer(says("response serializer"))]:
        report("endpoint")
        tasks.add_task(report, "background task")
        return f"{limit} of {item.name}"

    return app


app = create_app(print)
