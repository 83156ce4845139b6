"""A response sent in pieces, and what is still open while it is sent.

Shows:  the endpoint is over before the first byte leaves, and so is scope="function"; scope="request" lasts to the end.
Costs:  what the pieces are read from, a database session say, is held for as long as the client takes to read them.
Needs:  fastapi uvicorn
Run:    uvicorn streaming:app    then    curl -i http://127.0.0.1:8000/pieces
        The server prints the order.
"""

import asyncio
from collections.abc import AsyncIterator, Callable

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from fastapi.telemetry import TelemetryConfig


def create_app(report: Callable[[str], object], telemetry: TelemetryConfig | None = None) -> FastAPI:
    def resource(name: str) -> Callable[[], AsyncIterator[None]]:
        async def opened() -> AsyncIterator[None]:
            report(f"{name} scope enters")
            try:
                yield
            finally:
                report(f"{name} scope exits")

        return opened

    scopes = [Depends(resource("request"), scope="request"), Depends(resource("function"), scope="function")]
    app = FastAPI(telemetry=telemetry)

    async def pieces() -> AsyncIterator[str]:
        for name in ("first", "second"):
            await asyncio.sleep(0.02)  # a database, say, that gives its rows one by one
            report(f"{name} piece")
            yield f"{name}\n"

    @app.get("/pieces", response_class=StreamingResponse, dependencies=scopes)
    async def endpoint() -> StreamingResponse:
        report("endpoint")
        return StreamingResponse(pieces(), media_type="text/plain")

    return app


app = create_app(print)
