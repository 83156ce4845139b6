"""The snippets of chapter 03."""

import asyncio
import io
import logging
import re
import statistics
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, WebSocket
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from app_snippets.middleware import (
    body_limit,
    cors,
    cors_on_errors,
    request_id,
    security_headers,
    server_timing,
    server_timing_base,
    trusted_hosts,
)
from lab import serve

Wrap = Callable[[Any], Any]
PAGE = "https://app.example.com"
TIMING = re.compile(r"app;dur=\d+\.\d\d")

LAYERS: dict[str, Wrap] = {
    "server_timing": server_timing.ServerTimingMiddleware,
    "server_timing_base": server_timing_base.ServerTimingMiddleware,
    "trusted_hosts": lambda app: trusted_hosts.TrustedHosts(app, ["127.0.0.1"]),
    "cors_on_errors": lambda app: cors_on_errors.with_cors(app, [PAGE]),
    "request_id": request_id.RequestIdMiddleware,
    "body_limit": lambda app: body_limit.BodyLimitMiddleware(app, limit=1000),
    "security_headers": security_headers.SecurityHeadersMiddleware,
}
each_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
both_timings = pytest.mark.parametrize("timing", [server_timing, server_timing_base], ids=["pure", "base"])


def asking(app: Any, url: str = "http://app") -> httpx.AsyncClient:
    """A client that calls the app in this loop, where `no_blocking` watches."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url=url)


# What every layer lets through


class Live:
    """An app with a lifespan, a websocket, and a stream that goes on only when its client has read the beginning."""

    def __init__(self) -> None:
        self.lifespan: list[str] = []
        self.goes_on = asyncio.Event()
        self.app = FastAPI(lifespan=self.live)
        self.app.websocket("/echo")(self.echo)
        self.app.get("/stream")(self.stream)
        self.app.get("/goes_on")(self.go_on)
        self.app.get("/breaks")(self.breaks)

    @asynccontextmanager
    async def live(self, _: FastAPI) -> AsyncIterator[dict[str, str]]:
        self.lifespan.append("startup")
        yield {"from": "lifespan"}
        self.lifespan.append("shutdown")

    async def echo(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="chat", headers=[(b"x-own", b"kept")])
        async for message in websocket.iter_text():
            await websocket.send_text(f"{websocket.state['from']}: {message}")

    async def stream(self) -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield "beginning"
            await self.goes_on.wait()
            yield "end"

        return StreamingResponse(chunks(), headers={"X-Own": "kept"})

    async def go_on(self) -> None:
        self.goes_on.set()

    async def breaks(self) -> StreamingResponse:
        async def chunks() -> AsyncIterator[str]:
            yield "beginning"
            raise RuntimeError("in the middle")

        return StreamingResponse(chunks())


@each_layer
async def test_the_lifespan_passes_through(layer: Wrap) -> None:
    live = Live()
    with serve(layer(live.app)) as server:
        assert live.lifespan == ["startup"]
    assert live.lifespan == ["startup", "shutdown"]
    assert server.log == []


@each_layer
async def test_a_websocket_passes_through(layer: Wrap) -> None:
    with serve(layer(Live().app)) as server:
        async with connect(server.url.replace("http", "ws") + "/echo", subprotocols=["chat"]) as websocket:  # type: ignore[list-item]
            assert websocket.subprotocol == "chat"
            assert websocket.response is not None
            assert websocket.response.headers["x-own"] == "kept"
            for text in ("one", "two"):
                await websocket.send(text)
                assert await websocket.recv() == f"lifespan: {text}"
    assert server.log == []


@each_layer
async def test_the_beginning_of_a_stream_arrives_before_its_end_is_made(layer: Wrap) -> None:
    with serve(layer(Live().app)) as server:
        client = httpx.AsyncClient(base_url=server.url, headers={"Origin": PAGE})
        async with client, client.stream("GET", "/stream") as response:
            assert response.headers["x-own"] == "kept"
            chunks = response.aiter_text()
            assert await anext(chunks) == "beginning"
            await client.get("/goes_on")
            assert await anext(chunks) == "end"
    assert server.log == []


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "server_timing_base"])
def test_a_stream_that_breaks_is_a_cut_connection_for_its_client(name: str) -> None:
    with serve(LAYERS[name](Live().app)) as server, pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
        httpx.get(server.url + "/breaks")
    assert "in the middle" in "\n".join(server.log)


def test_base_http_middleware_ends_a_stream_that_breaks_as_if_it_were_whole() -> None:
    """Not wanted, and what the chapter tells: its `_StreamingResponse` sends the last message whatever has happened."""
    with serve(server_timing_base.ServerTimingMiddleware(Live().app)) as server:
        response = httpx.get(server.url + "/breaks")
    assert (response.status_code, response.text) == (200, "beginning")
    assert "in the middle" in "\n".join(server.log)


@each_layer
async def test_a_response_without_headers_is_no_error(layer: Wrap) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async with asking(layer(app), "http://127.0.0.1") as client:
        assert (await client.get("/")).status_code == 204


# Server-Timing


@both_timings
@pytest.mark.usefixtures("no_blocking")
async def test_a_response_has_one_timing_beside_its_own_headers(timing: Any) -> None:
    async with asking(timing.app) as client:
        response = await client.get("/")
    assert response.json() == {"hello": "world"}
    assert TIMING.fullmatch(response.headers["server-timing"])
    assert response.headers["content-type"] == "application/json"


@both_timings
def test_a_timing_of_the_endpoint_stays(timing: Any) -> None:
    app = FastAPI()
    app.add_middleware(timing.ServerTimingMiddleware)

    @app.get("/")
    async def timed() -> StreamingResponse:
        return StreamingResponse(iter(["x"]), headers={"Server-Timing": "db;dur=1"})

    with serve(app) as server:
        database, whole = httpx.get(server.url).headers.get_list("server-timing")
    assert database == "db;dur=1"
    assert TIMING.fullmatch(whole)


async def test_the_time_is_in_milliseconds_of_the_clock() -> None:
    ticks = iter([50.0, 50.25])
    middleware = server_timing.ServerTimingMiddleware(FastAPI(), clock=lambda: next(ticks))
    async with asking(middleware) as client:
        assert (await client.get("/")).headers["server-timing"] == "app;dur=250.00"


async def call(app: Any) -> None:
    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        pass

    await app(scope, receive, send)


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_the_pure_layer_costs_at_most_a_twentieth_of_the_other(tell: list[str]) -> None:
    stacks = {"none": answer, "pure": answer, "base": answer}
    for _ in range(5):
        stacks["pure"] = server_timing.ServerTimingMiddleware(stacks["pure"])  # type: ignore[assignment]
        stacks["base"] = server_timing_base.ServerTimingMiddleware(stacks["base"])  # type: ignore[assignment]
    seconds: dict[str, list[float]] = {name: [] for name in stacks}
    for _ in range(15):
        for name, app in stacks.items():  # in turn, so that a busy moment meets all three
            times = 20 if name == "base" else 200
            began = perf_counter()
            for _ in range(times):
                await call(app)
            seconds[name].append((perf_counter() - began) / times)
    none, pure, base = (statistics.median(seconds[name]) * 1e6 for name in stacks)
    pure, base = (pure - none) / 5, (base - none) / 5
    tell.append(f"a layer of Server-Timing: {pure:.1f} µs as pure ASGI, {base:.0f} µs with BaseHTTPMiddleware")
    assert pure * 20 <= base


# Trusted hosts


@pytest.mark.usefixtures("no_blocking")
@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("example.com", "/", 200),
        ("EXAMPLE.com:8000", "/", 200),
        ("api.example.com", "/", 200),
        ("a.b.example.com", "/", 200),
        ("evil.com", "/", 400),
        ("badexample.com", "/", 400),
        ("example.com.evil.com", "/", 400),
        ("127.0.0.1:8000", "/", 400),
        ("127.0.0.1:8000", "/healthz", 200),
        ("127.0.0.1:8000", "/healthz/", 400),
        ("evil.com", "/healthz", 200),
    ],
)
async def test_a_host_is_trusted_or_answered_400(host: str, path: str, status: int) -> None:
    async with asking(trusted_hosts.app) as client:
        assert (await client.get(path, headers={"Host": host})).status_code == status


@pytest.mark.usefixtures("no_blocking")
async def test_a_wildcard_does_not_stand_for_the_name_itself() -> None:
    async with asking(trusted_hosts.create_app(["*.example.com"])) as client:
        statuses = [
            (await client.get("/", headers={"Host": host})).status_code for host in ("www.example.com", "example.com")
        ]
    assert statuses == [200, 400]


async def test_a_websocket_for_another_host_is_refused() -> None:
    with serve(trusted_hosts.TrustedHosts(Live().app, ["example.com"])) as server:
        address = server.url.replace("http", "ws") + "/echo"
        with pytest.raises(InvalidStatus, match="400"):
            await connect(address)


# CORS


def preflight(url: str, **changed: str) -> httpx.Response:
    asked = {"origin": PAGE, "access-control-request-method": "POST", **changed}
    return httpx.options(url, headers=asked)


def test_a_preflight_of_the_page_is_answered_with_all_that_is_allowed() -> None:
    with serve(cors.app) as server:
        response = preflight(server.url + "/transfer", **{"access-control-request-headers": "authorization"})
    assert response.status_code == 200
    allowed = {name: value for name, value in response.headers.items() if name.startswith("access-control")}
    assert allowed == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "Accept, Accept-Language, Authorization, "
        "Content-Language, Content-Type, X-Request-ID",
        "access-control-max-age": "600",
    }
    assert "Origin" in response.headers["vary"]


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"origin": "https://evil.example"}, "origin"),
        ({"access-control-request-method": "DELETE"}, "method"),
        ({"access-control-request-headers": "x-other"}, "headers"),
    ],
)
def test_a_preflight_for_anything_else_is_refused(changed: dict[str, str], what: str) -> None:
    with serve(cors.app) as server:
        response = preflight(server.url + "/transfer", **changed)
    assert (response.status_code, response.text) == (400, f"Disallowed CORS {what}")


def test_a_simple_request_of_the_page_may_be_read_by_it() -> None:
    with serve(cors.app) as server:
        response = httpx.get(server.url + "/account", headers={"Origin": PAGE})
    assert response.json() == {"balance": 100}
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["access-control-expose-headers"] == "X-Request-ID"
    assert response.headers["vary"] == "Origin"


def test_a_simple_request_of_another_page_is_answered_and_may_not_be_read() -> None:
    with serve(cors.app) as server:
        response = httpx.get(server.url + "/account", headers={"Origin": "https://evil.example"})
    assert response.json() == {"balance": 100}
    assert "access-control-allow-origin" not in response.headers
    assert response.headers["vary"] == "Origin"  # or a cache would give this answer to the page


@pytest.mark.parametrize("origin", ["*", PAGE + "/", PAGE + "/page", "app.example.com", "null", ""])
def test_what_is_no_origin_is_refused_when_the_app_is_made(origin: str) -> None:
    with pytest.raises(ValueError, match="is not an origin"):
        cors.create_app([origin])


def test_an_error_has_cors_headers_when_the_whole_app_is_wrapped() -> None:
    with serve(cors_on_errors.app) as server:
        fails, works = (httpx.get(server.url + path, headers={"Origin": PAGE}) for path in ("/fails", "/works"))
    assert [fails.status_code, works.status_code] == [500, 200]
    for response in (fails, works):
        assert response.headers["access-control-allow-origin"] == PAGE
    assert "RuntimeError: a bug" in "\n".join(server.log)


def test_an_error_has_none_when_the_middleware_is_added() -> None:
    api = cors_on_errors.create_api()
    api.add_middleware(CORSMiddleware, allow_origins=[PAGE])
    with serve(api) as server:
        response = httpx.get(server.url + "/fails", headers={"Origin": PAGE})
    assert response.status_code == 500
    assert "access-control-allow-origin" not in response.headers


# Request ids


class Lines(logging.StreamHandler[io.StringIO]):
    """A handler as the snippet sets one up; keeps its lines."""

    def __init__(self) -> None:
        super().__init__(io.StringIO())
        self.addFilter(request_id.add_request_id)
        self.setFormatter(logging.Formatter("%(request_id)s %(message)s"))

    def __enter__(self) -> "Lines":
        logger = logging.getLogger("app")
        logger.addHandler(self)
        logger.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("app").removeHandler(self)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The id and the message of each line."""
        return [tuple(line.split(" ", 1)) for line in self.stream.getvalue().splitlines()]  # type: ignore[misc]


def logging_app() -> Any:
    """Logs its number at every turn: on the loop, in a thread, in a task, in a thread of a task."""
    app, log = FastAPI(), logging.getLogger("app")
    together = threading.Barrier(20, timeout=10)

    @app.get("/async/{number}")
    async def on_the_loop(number: int) -> None:
        log.info("%s begins", number)
        await asyncio.sleep(0)
        await asyncio.gather(asyncio.create_task(in_a_task(number)), run_in_threadpool(log.info, "%s thread", number))
        log.info("%s ends", number)

    async def in_a_task(number: int) -> None:
        await asyncio.sleep(0.001)
        log.info("%s task", number)

    @app.get("/def/{number}")
    def in_a_thread(number: int) -> None:
        log.info("%s begins", number)
        together.wait()  # twenty threads at once, or this raises
        log.info("%s ends", number)

    return request_id.RequestIdMiddleware(app)


async def test_ids_of_200_concurrent_requests_never_mix() -> None:
    with Lines() as lines, serve(logging_app()) as server:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=server.url, limits=limits, timeout=30) as client:
            asked = [
                client.get(f"/{'def' if number % 2 else 'async'}/{number}", headers={"X-Request-ID": f"id-{number}"})
                for number in range(200)
            ]
            responses = await asyncio.gather(*asked)
    assert [response.headers["x-request-id"] for response in responses] == [f"id-{number}" for number in range(200)]
    assert len(lines.pairs) == 100 * 4 + 100 * 2
    for id, message in lines.pairs:
        assert id == f"id-{message.split()[0]}"


async def test_ids_made_for_concurrent_requests_are_all_different_and_their_own() -> None:
    with Lines() as lines, serve(logging_app()) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            responses = await asyncio.gather(*[client.get(f"/async/{number}") for number in range(50)])
    made = {str(number): response.headers["x-request-id"] for number, response in enumerate(responses)}
    assert len(set(made.values())) == 50
    assert all(re.fullmatch(r"[0-9a-f]{32}", id) for id in made.values())
    assert all(id == made[message.split()[0]] for id, message in lines.pairs)


FORGED = {
    "a newline": b"abc\nroot logged in",
    "a carriage return": b"abc\rroot logged in",
    "a newline at the end": b"abc\n",
    "10 kB": b"a" * 10_000,
    "65 characters": b"a" * 65,
    "a terminal code": b"abc\x1b[2J",
    "a space": b"abc root logged in",
    "latin-1": "café".encode("latin-1"),
    "UTF-8": "café".encode(),
    "a line separator": "abc\u2028".encode(),
    "markup": b"<script>",
    "a format": b"%(message)s",
    "nothing": b"",
}


async def answered_id(given: bytes) -> tuple[str, list[tuple[str, str]]]:
    """The id of the response, and the log. Calls the app by hand: a server lets no newline reach it."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-request-id", given)]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    with Lines() as lines:
        await request_id.app(scope, asyncio.Event().wait, send)  # type: ignore[arg-type]
    found = [value for name, value in sent[0]["headers"] if name == b"x-request-id"]
    assert len(found) == 1
    return found[0].decode(), lines.pairs


@pytest.mark.parametrize("given", FORGED.values(), ids=FORGED)
async def test_a_forged_id_is_replaced(given: bytes) -> None:
    id, lines = await answered_id(given)
    assert re.fullmatch(r"[0-9a-f]{32}", id)
    assert lines == [(id, "greeting")]


@pytest.mark.parametrize("given", [b"a", b"f" * 64, b"6fa459ea-ee8a-3ca4-894e-db77e160355e", b"Root_1.2"])
async def test_a_valid_id_is_taken(given: bytes) -> None:
    id, lines = await answered_id(given)
    assert id == given.decode()
    assert lines == [(id, "greeting")]


@pytest.mark.parametrize("given", [value for value in FORGED.values() if b"\n" not in value and b"\r" not in value])
def test_a_forged_id_over_a_real_connection_is_never_sent_back(given: bytes) -> None:
    with Lines() as lines, serve(request_id.app) as server:
        response = httpx.get(server.url, headers=[(b"x-request-id", given)])
    if response.status_code == 200:
        assert re.fullmatch(r"[0-9a-f]{32}", response.headers["x-request-id"])
        assert lines.pairs == [(response.headers["x-request-id"], "greeting")]
    else:  # the server itself refuses the header
        assert response.status_code == 400
        assert lines.pairs == []


def test_a_500_has_its_id_and_so_has_the_servers_traceback() -> None:
    made, seen = logging.getLogRecordFactory(), []

    def watched(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = made(*arguments, **more)
        seen.append((request_id.request_id.get(), record.getMessage()))
        return record

    logging.setLogRecordFactory(watched)
    try:
        with serve(request_id.RequestIdMiddleware(cors_on_errors.create_api())) as server:
            response = httpx.get(server.url + "/fails", headers={"X-Request-ID": "mine"})
    finally:
        logging.setLogRecordFactory(made)
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "mine"
    assert [id for id, message in seen if "Exception in ASGI application" in message] == ["mine"]


def test_the_handler_of_the_log_goes_with_the_app() -> None:
    with serve(request_id.app):
        assert len(logging.getLogger("app").handlers) == 1
    assert logging.getLogger("app").handlers == []


# A limit for bodies


class Uploads:
    """An app that counts the calls of its endpoints."""

    def __init__(self, **options: Any) -> None:
        self.calls = 0
        self.app = FastAPI(**options)

        @self.app.post("/parsed")
        async def parsed(body: dict[str, str]) -> int:
            self.calls += 1
            return len(body["x"])

        @self.app.post("/streamed")
        async def streamed(request: Request) -> int:
            return sum([len(chunk) async for chunk in request.stream()])

        @self.app.post("/unread")
        async def unread() -> None:
            self.calls += 1


def of(size: int) -> bytes:
    """A JSON body of that many bytes."""
    return b'{"x":"' + b"a" * (size - 8) + b'"}'


def chunked(body: bytes) -> Any:
    """The body in pieces: a client then cannot announce its length."""
    return iter([body[start : start + 100] for start in range(0, len(body), 100)])


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
@pytest.mark.parametrize(("size", "status"), [(1000, 200), (1001, 413), (500_000, 413)])
def test_a_body_above_the_limit_is_413_before_the_endpoint_runs(announced: bool, size: int, status: int) -> None:
    uploads = Uploads()
    json = {"Content-Type": "application/json"}
    with serve(body_limit.BodyLimitMiddleware(uploads.app, limit=1000)) as server:
        body = of(size) if announced else chunked(of(size))
        response = httpx.post(server.url + "/parsed", content=body, headers=json)
    assert response.status_code == status, response.text
    assert uploads.calls == (status == 200)
    if status == 413:
        assert response.json() == {"detail": "Content Too Large"}
    assert server.log == []


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_an_endpoint_that_streams_the_body_itself_is_stopped_too(announced: bool) -> None:
    with serve(body_limit.BodyLimitMiddleware(Uploads().app, limit=1000)) as server:
        body = of(5000) if announced else chunked(of(5000))
        assert httpx.post(server.url + "/streamed", content=body).status_code == 413
        assert httpx.post(server.url + "/streamed", content=chunked(of(1000))).json() == 1000


def test_an_announced_length_is_refused_before_an_endpoint_that_reads_no_body() -> None:
    added, built_in = Uploads(), Uploads(max_body_size=1000)
    for app in (body_limit.BodyLimitMiddleware(added.app, limit=1000), built_in.app):
        with serve(app) as server:
            assert httpx.post(server.url + "/unread", content=of(5000)).status_code == 413
    assert (added.calls, built_in.calls) == (0, 1)  # as the snippet's docstring says


def test_an_app_that_does_not_answer_for_it_is_answered_for() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            pass

    with serve(body_limit.BodyLimitMiddleware(app, limit=1000)) as server:
        assert httpx.post(server.url, content=chunked(of(5000))).status_code == 413
    assert server.log == []


def test_a_response_that_has_started_is_not_started_again() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while (await receive())["more_body"]:
            pass

    with serve(body_limit.BodyLimitMiddleware(app, limit=1000)) as server, pytest.raises(httpx.TransportError):
        httpx.post(server.url, content=chunked(of(5000)))  # cut, and there are bytes that nobody has read
    assert "HTTPException" in "\n".join(server.log)


@pytest.mark.usefixtures("no_blocking")
async def test_the_app_of_the_body_limit_counts_bytes() -> None:
    async with asking(body_limit.app) as client:
        for size, status in ((1_000_000, 200), (1_000_001, 413)):
            response = await client.post(
                "/size", content=b"a" * size, headers={"Content-Type": "application/octet-stream"}
            )
            assert response.status_code == status


# Security headers


def test_every_response_has_the_security_headers_also_a_404_and_a_500() -> None:
    api = cors_on_errors.create_api()
    with serve(security_headers.SecurityHeadersMiddleware(api)) as server:
        responses = [httpx.get(server.url + path) for path in ("/works", "/nowhere", "/fails")]
    assert [response.status_code for response in responses] == [200, 404, 500]
    for response in responses:
        for name, value in security_headers.HEADERS.items():
            assert response.headers.get_list(name) == [value]


@pytest.mark.usefixtures("no_blocking")
async def test_a_header_that_the_endpoint_sets_itself_stays() -> None:
    api = FastAPI()

    @api.get("/")
    async def framed() -> StreamingResponse:
        return StreamingResponse(iter(["x"]), headers={"Content-Security-Policy": f"frame-ancestors {PAGE}"})

    async with asking(security_headers.SecurityHeadersMiddleware(api)) as client:
        response = await client.get("/")
    assert response.headers.get_list("content-security-policy") == [f"frame-ancestors {PAGE}"]
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.usefixtures("no_blocking")
async def test_the_ticks_come() -> None:
    async with asking(security_headers.app) as client:
        assert (await client.get("/ticks")).text == "0\n1\n2\n"
