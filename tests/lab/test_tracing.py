"""The order of a request, seen on a server: each list here is what chapter 02 teaches."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.responses import StreamingResponse

from app_snippets.request_lifecycle import stages, streaming, yield_cleanup
from lab import tracing
from lab.tracing import Trace, TraceError, trace

LAYERS = ["outer", "inner"]
ALLOWED = {"Authorization": "any", "Kind": "1", "Cookie": "session=1"}
CAME_IN = ["client: request sent", "ASGI call begins", "outer in", "inner in"]
SENT = ["client: first byte", "ASGI send http.response.body", "client: last byte"]
WENT_OUT = ["inner out", "outer out", "ASGI call ends"]


def lines(words: str) -> list[str]:
    return [line.strip() for line in words.strip().splitlines()]


def without_spans(done: Trace) -> list[str]:
    return [event for event in done.events if not event.startswith("span")]


def sell(**more: Any) -> Trace:
    request = {"method": "POST", "target": "/items/7?limit=3", "headers": ALLOWED, "json": {"name": "tea"}}
    return trace(stages.create_app, layers=LAYERS, **{**request, **more})


def test_a_success_goes_from_the_clients_send_to_its_last_byte_and_on_to_the_end_of_the_call() -> None:
    done = sell()
    assert (done.status, done.body) == (200, '"3 of tea"')
    assert done.events == lines(
        """
        client: request sent
        ASGI call begins
        span POST begins
        outer in
        inner in
        route /items/{number} matched
        ASGI receive http.request
        span fastapi.dependencies begins
        token validator
        dependency token
        request scope enters
        token validator
        function scope enters
        path validator
        query validator
        header validator
        cookie validator
        body validator
        span fastapi.dependencies ends
        span fastapi.endpoint begins
        endpoint
        span fastapi.endpoint ends
        span fastapi.serialization begins
        response validator
        response serializer
        span fastapi.serialization ends
        function scope exits
        ASGI send http.response.start 200
        client: first byte
        ASGI send http.response.body
        client: last byte
        span POST /items/{number} ends
        span fastapi.background_task begins
        background task
        span fastapi.background_task ends
        request scope exits
        inner out
        outer out
        ASGI call ends
        """
    )


def test_a_422_comes_after_every_dependency_and_every_validator_and_without_the_endpoint() -> None:
    bad = {
        "target": "/items/x?limit=y",
        "headers": {**ALLOWED, "Kind": "z", "Cookie": "session=z"},
        "json": {"name": 3},
    }
    done = sell(**bad)
    assert done.status == 422
    assert [done.body.count(f'"{place}"') for place in ("path", "query", "header", "cookie", "body")] == [1] * 5
    assert without_spans(done) == [
        *CAME_IN,
        "route /items/{number} matched",
        "ASGI receive http.request",
        *["token validator", "dependency token", "request scope enters", "token validator", "function scope enters"],
        *["path validator", "query validator", "header validator", "cookie validator", "body validator"],
        *["function scope exits", "request scope exits"],
        "ASGI send http.response.start 422",
        *SENT,
        *WENT_OUT,
    ]


def test_malformed_json_is_a_422_before_any_dependency() -> None:
    done = sell(headers={"Content-Type": "application/json"}, json=None, content="{")
    assert done.status == 422
    assert without_spans(done) == [
        *CAME_IN,
        "route /items/{number} matched",
        "ASGI receive http.request",
        "ASGI send http.response.start 422",
        *SENT,
        *WENT_OUT,
    ]


def test_json_without_its_content_type_is_a_422_after_the_dependencies() -> None:
    done = sell(json=None, content='{"name": "tea"}')
    assert done.status == 422
    assert done.events.index("cookie validator") < done.events.index("function scope exits")
    assert "body validator" not in done.events
    assert "endpoint" not in done.events


def test_a_401_comes_after_the_body_was_read_and_before_any_other_parameter() -> None:
    done = sell(target="/items/x?limit=y", headers={})
    assert done.status == 401
    assert without_spans(done) == [
        *CAME_IN,
        "route /items/{number} matched",
        "ASGI receive http.request",
        "dependency token",
        "ASGI send http.response.start 401",
        *SENT,
        *WENT_OUT,
    ]


def clean_up(outcome: str) -> Trace:
    return trace(yield_cleanup.create_app, "GET", f"/{outcome}", layers=LAYERS)


ENDPOINT = [*CAME_IN, "route /{outcome} matched", "function enters", "request enters", "endpoint"]


def test_a_yield_dependency_of_function_scope_exits_before_the_response_and_of_request_scope_after_the_task() -> None:
    assert clean_up("well").events == [
        *ENDPOINT,
        "function exits",
        "ASGI send http.response.start 200",
        *SENT,
        "background",
        "request exits",
        *WENT_OUT,
    ]


@pytest.mark.parametrize("scope", ["function", "request"])
def test_a_yield_dependency_that_is_alone_exits_where_its_scope_says(scope: Any) -> None:
    def create_app(report: Any, telemetry: Any) -> FastAPI:
        async def session() -> AsyncIterator[None]:
            report("session enters")
            yield
            report("session exits")

        app = FastAPI(telemetry=telemetry)

        @app.get("/", dependencies=[Depends(session, scope=scope)])
        async def endpoint(tasks: BackgroundTasks) -> None:
            tasks.add_task(report, "task")

        return app

    events = trace(create_app, "GET", "/").events
    exits, start = events.index("session exits"), events.index("ASGI send http.response.start 200")
    if scope == "function":
        assert exits + 1 == start
    else:
        assert exits - 1 == events.index("span fastapi.background_task ends") > start


def test_a_refusal_by_the_endpoint_passes_both_scopes_before_it_becomes_a_response() -> None:
    assert clean_up("refused").events == [
        *ENDPOINT,
        *["function sees HTTPException", "function exits", "request sees HTTPException", "request exits"],
        "ASGI send http.response.start 409",
        *SENT,
        *WENT_OUT,
    ]


def test_an_exception_of_the_endpoint_passes_both_scopes_and_every_layer_before_it_becomes_a_500() -> None:
    done = clean_up("broken")
    assert (done.status, done.body) == (500, "Internal Server Error")
    assert done.events == [
        *ENDPOINT,
        *["function sees ValueError", "function exits", "request sees ValueError", "request exits"],
        *["inner out", "outer out"],
        "ASGI send http.response.start 500",
        *SENT,
        "ASGI call ends: ValueError",
    ]


def test_an_exception_of_a_background_task_comes_too_late_for_the_client() -> None:
    done = clean_up("broken-background")
    assert done.status == 200
    assert done.events == [
        *ENDPOINT,
        "function exits",
        "ASGI send http.response.start 200",
        *SENT,
        *["background", "request sees ValueError", "request exits"],
        *["inner out", "outer out", "ASGI call ends: ValueError"],
    ]


def test_a_streamed_response_is_made_while_it_is_sent_with_only_the_request_scope_open() -> None:
    done = trace(streaming.create_app, "GET", "/pieces", layers=LAYERS)
    assert done.body == "first\nsecond\n"
    assert without_spans(done) == [
        *CAME_IN,
        "route /pieces matched",
        *["request scope enters", "function scope enters", "endpoint", "function scope exits"],
        "ASGI receive http.request",  # Starlette listens for a client that leaves
        "ASGI send http.response.start 200",
        "client: first byte",
        *["first piece", "ASGI send http.response.body", "second piece", "ASGI send http.response.body"],
        "ASGI send http.response.body",
        "client: last byte",
        "ASGI receive http.disconnect",
        "request scope exits",
        *WENT_OUT,
    ]


@pytest.mark.parametrize(
    ("method", "target", "status", "route"),
    [("GET", "/items/7", 405, ["route /items/{number} matched"]), ("GET", "/nowhere", 404, [])],
)
def test_a_wrong_method_is_seen_after_the_route_and_a_wrong_path_matches_none(
    method: str, target: str, status: int, route: list[str]
) -> None:
    done = sell(method=method, target=target)
    assert without_spans(done) == [*CAME_IN, *route, f"ASGI send http.response.start {status}", *SENT, *WENT_OUT]


@pytest.mark.parametrize("spare", [{}, {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"}])
def test_spans_are_seen_whatever_the_environment_and_the_request_say_of_sampling(
    spare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert "span fastapi.endpoint begins" in sell(headers={**ALLOWED, **spare}).events


def test_the_text_is_the_order_and_the_same_in_every_run() -> None:
    first, *others = [sell() for _ in range(5)]
    assert repr(first) == "\n".join(["POST /items/7?limit=3: 200", *first.events])
    assert {repr(other) for other in others} == {repr(first)}


def test_no_cause_comes_after_its_effect_in_time_either() -> None:
    marks = sell()._marks
    app = [at for name, at in marks if not name.startswith("client")]
    assert app == sorted(app)
    at = dict(marks)
    assert at["client: request sent"] <= at["ASGI call begins"]
    assert at["ASGI send http.response.start 200"] <= at["client: first byte"] <= at["client: last byte"]
    assert at["ASGI send http.response.body"] <= at["client: last byte"]


def test_a_waterfall_draws_a_bar_from_in_to_out_and_a_dot_for_a_moment() -> None:
    done = sell()
    rows = {name: end - start for name, start, end in tracing._rows(done._marks)}
    assert {name for name, seconds in rows.items() if seconds > 0} == {
        *["ASGI call", "outer", "inner", "request scope", "function scope", "span POST /items/{number}"],
        *[f"span fastapi.{name}" for name in ("dependencies", "endpoint", "serialization", "background_task")],
    }
    assert {"client: request sent", "client: last byte", "path validator", "endpoint"} <= set(rows)
    figure = done.waterfall(caption="The task runs after the last byte.")
    assert repr(figure) == "Figure: POST /items/7?limit=3: 200\nThe task runs after the last byte."
    assert "client: request sent; ASGI call; span POST /items/{number}; outer; inner; route" in figure.alt


def test_a_textbook_is_put_beside_what_happened() -> None:
    beside = clean_up("well").beside({"send": "client: request sent", "answer": "client: last byte", "run": "endpoint"})
    assert repr(beside).splitlines()[:3] == [
        "1 send    client: request sent",
        "          ASGI call begins",
        "          outer in",
    ]
    assert "3 run     endpoint" in repr(beside).splitlines()
    assert beside._repr_html_().count("<tr>") == 1 + len(beside.rows)
    with pytest.raises(TraceError, match=r'^body: "ASGI receive http.request" did not happen in GET /well$'):
        clean_up("well").beside({"body": "ASGI receive http.request"})


def test_a_request_is_sent_as_it_is_given() -> None:
    def create_app(report: Any) -> FastAPI:
        app = FastAPI()

        @app.put("/echo")
        async def echo(request: Request) -> dict[str, str | None]:
            body = (await request.body()).decode()
            return {"body": body, "type": request.headers.get("content-type"), "query": request.url.query}

        return app

    def answer(**request: Any) -> Any:
        return json.loads(trace(create_app, "PUT", "/echo?a=%20b", **request).body)

    assert answer(json={"x": 1}) == {"body": '{"x": 1}', "type": "application/json", "query": "a=%20b"}
    assert answer(content="é") == {"body": "é", "type": None, "query": "a=%20b"}
    assert answer(content=b"x", headers={"Content-Type": "text/x"})["type"] == "text/x"


def test_a_body_in_many_pieces_is_one_event_and_what_the_app_says_elsewhere_is_none() -> None:
    def create_app(report: Any) -> FastAPI:
        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncIterator[None]:
            report("starts")
            yield
            report("stops")

        app = FastAPI(lifespan=lifespan)

        @app.post("/")
        async def endpoint(request: Request) -> int:
            return len(await request.body())

        return app

    done = trace(create_app, "POST", "/", content=b"x" * 3_000_000)
    assert done.body == "3000000"
    assert done.events == [
        "client: request sent",
        "ASGI call begins",
        "route / matched",
        "ASGI receive http.request",
        "ASGI send http.response.start 200",
        *SENT,
        "ASGI call ends",
    ]


def test_a_stream_that_breaks_is_a_200_and_a_lost_connection() -> None:
    def create_app(report: Any) -> FastAPI:
        async def pieces() -> AsyncIterator[str]:
            yield "one"
            raise RuntimeError("no more")

        app = FastAPI()

        @app.get("/")
        async def endpoint() -> StreamingResponse:
            return StreamingResponse(pieces())

        return app

    done = trace(create_app, "GET", "/")
    assert (done.status, done.body) == (200, "one")
    assert done.events[-4:] == [
        "client: first byte",
        "ASGI send http.response.body",
        "ASGI call ends: RuntimeError",
        "client: connection lost",
    ]


def waits(report: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/before")
    async def before() -> None:
        await asyncio.sleep(60)

    @app.get("/after")
    async def after(tasks: BackgroundTasks) -> None:
        tasks.add_task(asyncio.sleep, 60)

    return app


@pytest.mark.parametrize(
    ("target", "complaint"),
    [
        ("/before", "GET /before got no answer: TimeoutError"),
        ("/after", "GET /after: the app's call goes on 0.3 s after its answer"),
        ("after", "GET after is no HTTP request: the server answered 400 without the app"),
        ("/a b", "GET /a b got no answer: InvalidURL"),
    ],
)
def test_a_request_that_cannot_be_traced_is_one_readable_line(
    target: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "SECONDS", 0.3)
    with pytest.raises(TraceError) as raised:
        trace(waits, "GET", target)
    assert str(raised.value) == complaint
