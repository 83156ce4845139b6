"""Four endings of a request, each inside both exit stacks: sent whole, sent in pieces, refused, broken.

Shows:  when a `yield` dependency of each scope is left: before or after the response, the background task, the error.
Costs:  scope="function" is left before the first byte; scope="request" holds what it opened until all is sent and done.
Needs:  fastapi uvicorn
Run:    uvicorn endings:app    then    curl -i http://127.0.0.1:8000/whole
"""

from collections.abc import AsyncIterator, Callable

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.telemetry import TelemetryConfig


def create_app(report: Callable[[str], object], telemetry: TelemetryConfig | None = None) -> FastAPI:
    def opened(scope: str) -> Callable[[], AsyncIterator[None]]:
        async def dependency() -> AsyncIterator[None]:
            report(f"{scope} scope in")
            try:
                yield
            finally:
                report(f"{scope} scope out")

        return dependency

    scopes = [Depends(opened("request"), scope="request"), Depends(opened("function"), scope="function")]
    app = FastAPI(telemetry=telemetry, dependencies=scopes)

    @app.get("/whole")
    async def whole(tasks: BackgroundTasks) -> dict[str, bool]:
        report("endpoint")
        tasks.add_task(report, "background task")
        return {"whole": True}

    @app.get("/pieces")
    async def pieces() -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            for chunk in ("first ", "second"):
                report(f"{chunk.strip()} chunk")
                yield chunk

        report("endpoint")
        return StreamingResponse(chunks(), media_type="text/plain")

    @app.get("/refused")
    async def refused() -> None:
        report("endpoint")
        raise HTTPException(409, "not now")

    @app.get("/broken")
    async def broken() -> None:
        report("endpoint")
        raise RuntimeError("this endpoint is broken")

    return app


app = create_app(print)
