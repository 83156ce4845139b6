"""A service to put into production: settings from the environment, probes, one log line a request, a graceful drain.

Shows:  what graceful_drain.py does, with what else a service needs, in one file of some hundred lines.
Costs:  a stop takes DRAIN_SECONDS, and at most FINISH_SECONDS more. With a REDIS_URL, /ready asks that Redis.
Needs:  fastapi uvicorn pydantic-settings redis
Run:    uvicorn --no-access-log service:app    then    curl -i http://127.0.0.1:8000/ready
"""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field, RedisDsn
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Settings(BaseSettings):
    """Each is an environment variable of its name, in capitals. A wrong one stops the service at its start."""

    model_config = SettingsConfigDict(env_ignore_empty=True, hide_input_in_errors=True)  # a REDIS_URL has a password
    drain_seconds: float = Field(default=5, ge=0, allow_inf_nan=False)  # > a probe's period, times its failures
    finish_seconds: float = Field(default=10, ge=0, allow_inf_nan=False)  # for what is in flight then
    redis_url: RedisDsn | None = None
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": datetime.fromtimestamp(record.created, UTC).isoformat(), "level": record.levelname}
        line |= {"message": record.getMessage(), **getattr(record, "fields", {})}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Drain:
    """For `seconds` new requests are answered, for balancers to notice; then what is in flight has `finish` seconds."""

    def __init__(self, seconds: float, finish: float) -> None:
        self.seconds, self.finish, self.draining = seconds, finish, False
        self.in_flight: set[asyncio.Task[None] | None] = set()

    @contextmanager
    def listening(self) -> Iterator[None]:
        loop, stop = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)  # the server's own, by now
        if not callable(stop) or threading.current_thread() is not threading.main_thread():
            return (yield)  # in a test or a notebook, where no signal is the app's to take

        def end() -> None:
            for port in getattr(getattr(stop, "__self__", None), "servers", ()):
                port.close()  # `Server.shutdown` would cut what is accepted and not read yet: nothing new from here on
            loop.call_later(0.2, stop, signal.SIGTERM, None)
            loop.call_later(0.2 + self.finish, lambda: [task.cancel() for task in self.in_flight if task])

        def begin(*_: object) -> None:
            if not self.draining:  # gunicorn's master may send it twice
                loop.call_soon_threadsafe(loop.call_later, self.seconds, end)
            self.draining = True

        signal.signal(signal.SIGTERM, begin)
        yield
        signal.signal(signal.SIGTERM, stop)


class Edge:
    """What surrounds every request: the drain knows of it, and the log has a line of it."""

    def __init__(self, app: ASGIApp, drain: Drain, log: logging.Logger) -> None:
        self.app, self.drain, self.log = app, drain, log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        start, task, error = time.perf_counter(), asyncio.current_task(), False
        fields: dict[str, Any] = {"pid": os.getpid(), "method": scope.get("method"), "path": scope["path"]}
        fields |= {"client": (scope["client"] or [None])[0], "status": None, "whole": False}
        fields["request_id"] = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")[:64]

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                fields["status"] = message["status"]
                if self.drain.draining:  # a proxy opens its next connection elsewhere
                    message["headers"] = [*message.get("headers", ()), (b"connection", b"close")]
            await send(message)

        self.drain.in_flight.add(task)
        try:
            await self.app(scope, receive, noting)
            fields["whole"] = True
        except Exception:
            fields["status"], error = fields["status"] or 500, True
            raise
        finally:
            self.drain.in_flight.discard(task)
            fields["ms"] = round((time.perf_counter() - start) * 1000, 1)
            level = logging.ERROR if error else logging.INFO
            self.log.log(level, "request", exc_info=error, extra={"fields": fields})


Ms = Annotated[int, Query(ge=0, le=600_000)]


def create_app(settings: Settings) -> FastAPI:
    drain, log = Drain(settings.drain_seconds, settings.finish_seconds), logging.Logger("service", settings.log_level)
    log.addHandler(lines := logging.StreamHandler(sys.stdout))
    lines.setFormatter(JsonLines())
    url = settings.redis_url
    redis = Redis.from_url(str(url), socket_timeout=0.5, socket_connect_timeout=0.5) if url else None

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        log.info("started", extra={"fields": {"pid": os.getpid()}})
        async with redis or nullcontext():
            with drain.listening():
                yield
        log.info("stopped", extra={"fields": {"pid": os.getpid()}})

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(Edge, drain=drain, log=log)

    @app.get("/live")  # asks for nothing: what is broken elsewhere is no reason to kill this process
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/ready")
    async def ready(response: Response) -> dict[str, Any]:
        because = "draining" if drain.draining else None
        try:
            await (redis.ping() if redis and not because else asyncio.sleep(0))
        except RedisError:
            because = "no Redis"
        response.status_code = 503 if because else 200
        return {"ready": not because, "because": because}

    @app.get("/")
    async def home(request: Request) -> dict[str, Any]:
        return {"pid": os.getpid(), "client": request.client and request.client.host}

    # These three are for trying it out: put your own in their place
    @app.get("/io", include_in_schema=False)  # waits, as for a database
    async def io(ms: Ms = 100) -> dict[str, int]:
        await asyncio.sleep(ms / 1000)
        return {"pid": os.getpid()}

    @app.get("/cpu", include_in_schema=False)  # computes, and meanwhile the loop of this worker does not turn
    async def cpu(ms: Ms = 50) -> dict[str, int]:
        end = time.thread_time() + ms / 1000
        while time.thread_time() < end:
            pass
        return {"pid": os.getpid()}

    @app.get("/stream", include_in_schema=False)
    async def stream(ms: Ms = 1000) -> StreamingResponse:
        async def parts() -> AsyncIterator[str]:
            for part in range(ms // 100):
                yield f"{part}\n"
                await asyncio.sleep(0.1)

        return StreamingResponse(parts(), media_type="text/plain")

    return app


app = create_app(Settings())
