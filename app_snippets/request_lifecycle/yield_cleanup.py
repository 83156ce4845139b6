"""Two dependencies with `yield`: one is cleaned up before the response is sent, the other after it.

Shows:  scope="function" and scope="request", which is the default, and the background task between them.
Costs:  what is open in scope="request" stays open while the client reads the response, however slowly.
Needs:  fastapi uvicorn
Run:    uvicorn yield_cleanup:app    then    curl -i http://127.0.0.1:8000/well
        The server prints the order. /refused and /broken raise; /broken-background fails too late for the client.
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Literal

from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException

Outcome = Literal["well", "refused", "broken", "broken-background"]


def create_app(report: Callable[[str], object]) -> FastAPI:
    def resource(name: str) -> Callable[[], AsyncIterator[None]]:
        async def opened() -> AsyncIterator[None]:
            report(f"{name} enters")
            try:
                yield
            except Exception as error:
                report(f"{name} sees {type(error).__name__}")
                raise  # always: one that keeps an exception to itself leaves the client without an answer
            finally:
                report(f"{name} exits")

        return opened

    app = FastAPI()

    def background(outcome: Outcome) -> None:
        report("background")
        if outcome == "broken-background":
            raise ValueError("in the background")

    @app.get("/{outcome}")
    async def endpoint(
        outcome: Outcome,
        tasks: BackgroundTasks,
        function: Annotated[None, Depends(resource("function"), scope="function")],
        request: Annotated[None, Depends(resource("request"), scope="request")],
    ) -> dict[str, str]:
        report("endpoint")
        tasks.add_task(background, outcome)
        if outcome == "refused":
            raise HTTPException(409)
        if outcome == "broken":
            raise ValueError("in the endpoint")
        return {"outcome": outcome}

    return app


app = create_app(print)
