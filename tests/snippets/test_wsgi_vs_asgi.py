"""The snippets of chapter 01."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import httpx
import psutil
import pytest
from blockbuster import BlockingError

from app_snippets.wsgi_vs_asgi import (
    calls_upstream_wsgi,
    layers,
    process_pool,
    raw_asgi,
    raw_wsgi,
    slow_upstream,
    thread_limit,
    three_handlers,
    waits,
)
from lab import load, observe, serve

NOBODY = "http://127.0.0.1:1/"  # nothing listens on port 1


@pytest.fixture
def upstream() -> Iterator[Any]:
    with serve(observe(slow_upstream.app)) as server:
        yield server


def call_wsgi(app: Any, path: str) -> tuple[str, bytes]:
    """Calls a WSGI app under the validator of the standard library, which raises where PEP 3333 is broken."""
    environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": ""}
    setup_testing_defaults(environ)
    statuses = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        statuses.append(status)
        return lambda data: None

    result = validator(app)(environ, start_response)
    try:
        return statuses[0], b"".join(result)
    finally:
        result.close()


def test_raw_wsgi_keeps_to_the_protocol() -> None:
    assert call_wsgi(raw_wsgi.app, "/hello") == ("200 OK", b"hello from WSGI\n")
    assert call_wsgi(raw_wsgi.app, "/other") == ("404 Not Found", b"not found\n")


def test_raw_asgi_holds_the_lifespan_conversation_and_answers() -> None:
    with serve(raw_asgi.app) as server:
        found, missing = httpx.get(server.url + "/hello"), httpx.get(server.url + "/other")
    assert (found.status_code, found.text) == (200, "hello from ASGI\n")
    assert found.headers["content-type"] == "text/plain; charset=utf-8"
    assert (missing.status_code, missing.text) == (404, "not found\n")
    assert server.log == []  # uvicorn had nothing to complain of, at startup, at shutdown or between


@pytest.mark.usefixtures("no_blocking")
async def test_the_three_layers_answer_alike_and_refuse_each_in_their_way() -> None:
    transport = httpx.ASGITransport(layers.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        for path, refusal in {"/starlette": 500, "/pydantic": 422, "/fastapi/": 422}.items():
            assert (await client.get(path, params={"number": 21})).json() == {"double": 42}
            assert (await client.get(path, params={"number": "x"})).status_code == refusal


@pytest.mark.usefixtures("no_blocking")
async def test_the_upstream_waits_as_long_as_it_is_told_within_limits() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(slow_upstream.app), base_url="http://app") as client:
        assert (await client.get("/wait?seconds=0.01")).json() == {"waited": 0.01}
        assert (await client.get("/wait?seconds=11")).status_code == 422


async def test_the_upstream_holds_its_calls_until_nobody_comes(upstream: Any) -> None:
    async with httpx.AsyncClient(base_url=upstream.url) as client:
        first = asyncio.create_task(client.get("/hold?quiet=0.4"))
        await asyncio.sleep(0.2)
        second = await client.get("/hold?quiet=0.4")
        assert (await first).json()["held"] > second.json()["held"] > 0.39
    assert upstream.observed.peak == 2


def test_a_wsgi_app_calls_its_upstream_once_for_each_thread_at_a_time(upstream: Any) -> None:
    with serve(calls_upstream_wsgi.create_app(upstream.url + "/hold?quiet=0.2"), threads=3) as server:
        assert load(server.url, requests=6, concurrency=6).statuses == {200: 6}
    assert upstream.observed.peak == 3


def test_a_wsgi_app_without_its_upstream_answers_502() -> None:
    assert call_wsgi(calls_upstream_wsgi.create_app(NOBODY), "/") == ("502 Bad Gateway", b"upstream: ConnectError\n")


@pytest.mark.usefixtures("no_blocking")
@pytest.mark.parametrize("path", ["/threaded", "/awaiting"])
async def test_two_of_the_three_handlers_do_not_block_the_loop(path: str, upstream: Any) -> None:
    app = three_handlers.create_app(upstream.url + "/wait?seconds=0")
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        assert (await client.get(path)).json() == {"waited": 0}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the socket of the call that is cut off
@pytest.mark.usefixtures("no_blocking")
async def test_the_third_does_and_is_caught(upstream: Any) -> None:
    app = three_handlers.create_app(upstream.url + "/wait?seconds=0")
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://app") as client,
    ):
        with pytest.raises(BlockingError):
            await client.get("/blocking")


@pytest.mark.parametrize("path", ["/blocking", "/threaded", "/awaiting"])
def test_a_handler_without_its_upstream_answers_502(path: str) -> None:
    with serve(three_handlers.create_app(NOBODY)) as server:
        response = httpx.get(server.url + path)
    assert (response.status_code, response.json()) == (502, {"detail": "upstream: ConnectError"})


def test_the_clients_of_the_handlers_are_closed_with_the_app(upstream: Any) -> None:
    app = three_handlers.create_app(upstream.url + "/wait?seconds=0")
    with serve(app) as server:
        httpx.get(server.url + "/awaiting")
    assert app.state.client.is_closed
    assert app.state.blocking_client.is_closed


def test_the_thread_limit_is_how_many_def_endpoints_run_at_once(upstream: Any) -> None:
    with serve(thread_limit.create_app(upstream.url + "/hold?quiet=0.2", threads=3)) as server:
        assert load(server.url + "/report", requests=6, concurrency=6).statuses == {200: 6}
    assert upstream.observed.peak == 3


def test_the_thread_limit_does_not_reach_another_app(upstream: Any) -> None:
    with serve(thread_limit.create_app(upstream.url + "/wait?seconds=0", threads=1)):
        other = thread_limit.create_app(upstream.url + "/hold?quiet=0.2", threads=4)
        with serve(other) as server:
            load(server.url + "/report", requests=4, concurrency=4)
    assert upstream.observed.peak == 4


def test_a_limited_endpoint_without_its_upstream_answers_502() -> None:
    with serve(thread_limit.create_app(NOBODY, threads=2)) as server:
        assert httpx.get(server.url + "/report").status_code == 502


def test_both_waits_answer_alike() -> None:
    for app in (waits.create_wsgi(0.01), waits.create_asgi(0.01)):
        with serve(app) as server:
            response = httpx.get(server.url)
            assert (response.status_code, response.text) == (200, "waited\n")


async def test_the_pool_computes_in_two_other_processes_and_leaves_none_behind() -> None:
    before = set(psutil.Process().children(recursive=True))
    threads = threading.active_count()
    with serve(process_pool.app) as server:
        async with httpx.AsyncClient(base_url=server.url, params={"loops": 300_000}, timeout=60) as client:
            here = {(await client.get(path)).json()["pid"] for path in ("/async", "/def")}
            there = await asyncio.gather(*[client.get("/pool") for _ in range(8)])
    pids = {response.json()["pid"] for response in there}
    assert here == {os.getpid()}
    assert len(pids) == 2
    assert os.getpid() not in pids
    left = {
        child for child in psutil.Process().children(recursive=True) if "resource_tracker" not in str(child.cmdline())
    }
    assert left <= before
    deadline = time.monotonic() + 10  # idle threads of the ended loop need a moment
    while threading.active_count() > threads and time.monotonic() < deadline:  # noqa: ASYNC110 (they are threads)
        await asyncio.sleep(0.02)
    assert threading.active_count() <= threads


async def test_the_pool_refuses_work_without_a_bound() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(process_pool.app), base_url="http://app") as client:
        for loops in ("0", "20000001", "many"):
            response = await client.get("/async", params={"loops": loops})
            assert response.status_code == 422, json.dumps(response.json())
