"""Server-Timing on every response, with BaseHTTPMiddleware: shorter to write, dearer to run.

Shows:  a request and a response object around `call_next`, instead of messages.
Costs:  a task, a stream in memory and a response object a request, and context variables that do not come out.
Needs:  fastapi uvicorn
Run:    uvicorn server_timing_base:app    then    curl -i http://127.0.0.1:8000/
"""

from time import perf_counter

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response


class ServerTimingMiddleware(BaseHTTPMiddleware):
    """Adds `Server-Timing: app;dur=MS`: milliseconds from the request's arrival to the start of its response."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        arrived = perf_counter()
        response = await call_next(request)  # returns when the response starts; its body is still to come
        response.headers.append("Server-Timing", f"app;dur={(perf_counter() - arrived) * 1000:.2f}")
        return response


app = FastAPI()
app.add_middleware(ServerTimingMiddleware)


@app.get("/")
async def home() -> dict[str, str]:
    return {"hello": "world"}
