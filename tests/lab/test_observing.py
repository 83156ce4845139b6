import asyncio
import threading
import time
from typing import Any

import httpx
import pytest

from lab.errors import LabError
from lab.observing import observe
from lab.serving import serve


async def answer(send: Any, body: bytes = b"done") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": body})


def http_scope(client: tuple[str, int] = ("127.0.0.1", 1)) -> dict[str, Any]:
    return {"type": "http", "path": "/", "client": client}


async def no_events() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def nowhere(message: dict[str, Any]) -> None:
    pass


class Gathering:
    """An ASGI app that answers nobody until `size` requests have come."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.here = 0
        self.complete = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")
        self.here += 1
        if self.here == self.size:
            self.complete.set()
        await self.complete.wait()
        await answer(send)


async def test_requests_that_overlap_are_the_peak() -> None:
    with serve(observe(Gathering(7))) as server:
        async with httpx.AsyncClient() as client:
            answers = await asyncio.gather(*(client.get(server.url) for _ in range(7)))
        assert [response.status_code for response in answers] == [200] * 7
        assert server.observed.peak == server.observed.starts == 7
        assert server.observed.connections == 7
        assert server.observed.threads == 1


def test_requests_on_a_kept_connection_are_one_connection_and_never_overlap() -> None:
    with serve(observe(Gathering(1))) as server, httpx.Client() as client:
        for _ in range(5):
            client.get(server.url)
    assert (server.observed.starts, server.observed.ends) == (5, 5)
    assert (server.observed.connections, server.observed.peak) == (1, 1)


def test_a_wsgi_app_is_called_by_as_many_threads_as_overlap() -> None:
    barrier = threading.Barrier(3, timeout=10)

    def app(environ: Any, start_response: Any) -> list[bytes]:
        barrier.wait()
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    with serve(observe(app), threads=3) as server:
        askers = [threading.Thread(target=httpx.get, args=(server.url,)) for _ in range(3)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
    assert (server.observed.peak, server.observed.threads, server.observed.connections) == (3, 3, 3)
    assert server.observed.ends == 3
    assert server.observed.lag == 0.0


class Body:
    closed = False

    def __iter__(self) -> Any:
        return iter([b"a", b"b"])

    def close(self) -> None:
        self.closed = True


def test_a_wsgi_request_ends_when_its_body_is_closed_and_only_once() -> None:
    body = Body()
    observed: Any = observe(lambda environ, start_response: body)
    returned = observed({}, None)
    assert list(returned) == [b"a", b"b"]
    assert (observed.starts, observed.ends) == (1, 0)
    returned.close()
    returned.close()
    assert body.closed
    assert observed.ends == 1


def test_a_wsgi_response_keeps_the_length_that_the_server_takes_from_it() -> None:
    def app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"five!"]

    with serve(observe(app)) as server:
        assert httpx.get(server.url).headers["content-length"] == "5"


async def test_what_the_app_raises_comes_out_and_ends_its_request() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("lost")

    def failing_too(environ: Any, start_response: Any) -> list[bytes]:
        raise KeyError("lost")

    asgi: Any = observe(failing)
    wsgi: Any = observe(failing_too)
    with pytest.raises(KeyError):
        await asgi(http_scope(), no_events, nowhere)
    with pytest.raises(KeyError):
        wsgi({}, None)
    assert (asgi.starts, asgi.ends, wsgi.starts, wsgi.ends) == (1, 1, 1, 1)


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
async def test_lifespan_and_websockets_pass_through_untouched(kind: str) -> None:
    passed: list[Any] = []

    async def app(*arguments: Any) -> None:
        passed.extend(arguments)

    observed: Any = observe(app)
    scope = {"type": kind}
    await observed(scope, no_events, nowhere)
    assert passed == [scope, no_events, nowhere]
    assert passed[0] is scope
    assert (observed.starts, observed.ends, observed.spans) == (0, 0, [])


async def test_spans_are_sorted_by_start_and_last_as_long_as_the_call() -> None:
    release = [asyncio.Event(), asyncio.Event()]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release[scope["client"][1]].wait()

    observed: Any = observe(app)
    before = time.perf_counter()
    first, second = (asyncio.ensure_future(observed(http_scope(("h", n)), no_events, nowhere)) for n in (0, 1))
    await asyncio.sleep(0.01)
    release[1].set()
    await second
    release[0].set()
    await first
    (start_1, end_1), (start_2, end_2) = observed.spans
    assert before < start_1 < start_2 < end_2 < end_1 < time.perf_counter()


async def test_a_held_loop_is_lag_and_an_awaiting_one_is_not() -> None:
    async def holding(scope: Any, receive: Any, send: Any) -> None:
        time.sleep(0.3)  # noqa: ASYNC251 the mistake under observation

    async def awaiting(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.3)

    held: Any = observe(holding)
    awaited: Any = observe(awaiting)
    await held(http_scope(), no_events, nowhere)
    await awaited(http_scope(), no_events, nowhere)
    assert 0.25 < held.lag < 3
    assert awaited.lag < held.lag / 3


async def test_a_loop_held_by_another_shows_while_a_request_waits_and_not_once_it_is_gone() -> None:
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await release.wait()

    observed: Any = observe(app)
    request = asyncio.ensure_future(observed(http_scope(), no_events, nowhere))
    await asyncio.sleep(0.02)
    time.sleep(0.3)  # noqa: ASYNC251
    release.set()
    await request
    assert observed.lag > 0.25
    observed.reset()
    time.sleep(0.05)  # noqa: ASYNC251
    await asyncio.sleep(0.02)
    assert observed.lag == 0.0
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_reset_forgets_also_what_is_in_flight() -> None:
    gathering = Gathering(2)
    observed: Any = observe(gathering)
    early = asyncio.ensure_future(observed(http_scope(), no_events, nowhere))
    await asyncio.sleep(0)
    observed.reset()
    await observed(http_scope(), no_events, nowhere)
    await early
    assert (observed.starts, observed.ends, observed.connections) == (1, 1, 1)


async def test_two_connections_of_one_address_are_two() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)

    observed: Any = observe(app)
    for port in (40000, 40000, 40001):  # a port is taken again soon after its connection has gone
        scope = http_scope(("127.0.0.1", port))  # a tuple of its own, as in uvicorn
        for _ in range(3):
            await observed(dict(scope), no_events, nowhere)
    assert (observed.starts, observed.connections) == (9, 3)


def test_an_observed_app_is_observable_and_what_is_no_app_is_one_readable_line() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)

    observe(observe(app))
    with pytest.raises(LabError, match="int is not an app, it cannot be called"):
        observe(3)  # type: ignore[arg-type]
