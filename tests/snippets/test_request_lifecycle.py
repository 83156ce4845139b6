"""The snippets of chapter 02, each served by a real server."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app_snippets.request_lifecycle import (
    auth_before_body,
    body_limit,
    error_precedence,
    response_filtering,
    transaction,
    yield_cleanup,
)
from lab import serve

GOOD = {"Authorization": "Bearer good"}
CHUNK = b"x" * 10_000


class Recorded:
    """An ASGI app that tells `events` of what the app sends, and counts the bytes of body that it has received."""

    def __init__(self, app: Any, events: list[str]) -> None:
        self.app, self.events, self.received = app, events, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def counted() -> Any:
            message = await receive()
            self.received += len(message.get("body", b""))
            return message

        async def told(message: Any) -> None:
            if message["type"].startswith("http.response"):
                self.events.append("sends " + message["type"].rpartition(".")[2])
            await send(message)

        await self.app(scope, counted, told)
        if scope["type"] == "http":
            self.events.append("returns")


def ask(app: Any, method: str, path: str, **options: Any) -> httpx.Response:
    """One request to a server of its own, which has stopped when this returns: everything has run by then."""
    with serve(app) as server:
        return httpx.request(method, server.url + path, **options)


def places(response: httpx.Response) -> list[list[object]]:
    return [error["loc"] for error in response.json()["detail"]]


# error_precedence


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def everything_bad(ran: list[str]) -> Callable[..., httpx.Response]:
    """Asks error_precedence with a bad path, query, header and body, and no token, but for what it is told."""

    def ask_it(method: str = "POST", path: str = "/items/x", **options: Any) -> httpx.Response:
        headers = {"X-Tenant": "x"} | options.pop("headers", {})
        options = {"json": {"price": -1}} | options if "content" not in options else options
        return ask(
            error_precedence.create_app(ran.append), method, path, params={"size": "x"}, headers=headers, **options
        )

    return ask_it


def test_a_wrong_path_and_a_wrong_method_come_before_everything(everything_bad: Any, ran: list[str]) -> None:
    assert everything_bad(path="/item/x").status_code == 404
    assert everything_bad(method="PUT").status_code == 405
    assert ran == []


def test_malformed_json_comes_before_the_token(everything_bad: Any, ran: list[str]) -> None:
    response = everything_bad(content=b'{"price": ', headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"][0]["type"] == "json_invalid"
    assert ran == []


def test_a_body_that_is_not_text_is_a_400_and_comes_before_the_token(everything_bad: Any) -> None:
    assert everything_bad(content=b'{"price": \xff}', headers={"Content-Type": "application/json"}).status_code == 400


def test_the_token_comes_before_every_parameter(everything_bad: Any, ran: list[str]) -> None:
    missing, unknown = everything_bad(), everything_bad(headers={"Authorization": "Bearer bad"})
    assert (missing.status_code, unknown.status_code) == (401, 401)
    assert missing.headers["www-authenticate"] == unknown.headers["www-authenticate"] == "Bearer"
    assert ran == ["authenticated"]  # without a token, HTTPBearer raises before our own dependency is called


def test_json_without_a_content_type_is_a_422_after_the_token(everything_bad: Any, ran: list[str]) -> None:
    assert everything_bad(content=b'{"price": 1}').status_code == 401
    response = everything_bad(path="/items/1", content=b'{"price": 1}', headers=GOOD)
    assert response.status_code == 422
    assert ["body"] in places(response)
    assert ran == ["authenticated"]


def test_with_a_good_token_all_errors_are_told_at_once(everything_bad: Any, ran: list[str]) -> None:
    response = everything_bad(headers=GOOD)
    assert response.status_code == 422
    assert places(response) == [["path", "number"], ["query", "size"], ["header", "x-tenant"], ["body", "price"]]
    assert ran == ["authenticated"]  # the dependency ran, the endpoint did not


def test_a_good_request_reaches_the_endpoint(ran: list[str]) -> None:
    app = error_precedence.create_app(ran.append)
    response = ask(app, "POST", "/items/1?size=1", headers=GOOD | {"X-Tenant": "1"}, json={"price": 2})
    assert response.json() == {"user": "ada", "price": 2}
    assert ran == ["authenticated", "endpoint"]


# response_filtering


@pytest.mark.parametrize("path", ["annotated", "response-model"])
def test_a_response_model_keeps_what_it_names(path: str) -> None:
    assert ask(response_filtering.app, "GET", f"/{path}").json() == {"name": "ada"}


@pytest.mark.parametrize("path", ["untyped", "union", "response"])
def test_the_mistakes_show_the_hash(path: str) -> None:
    assert ask(response_filtering.app, "GET", f"/{path}").json() == response_filtering.ada.model_dump()


def test_what_the_model_does_not_admit_is_a_500_that_says_nothing() -> None:
    with serve(response_filtering.app) as server:
        response = httpx.get(server.url + "/invalid")
    assert (response.status_code, response.text) == (500, "Internal Server Error")
    assert any("ResponseValidationError" in line for line in server.log)


# yield_cleanup


def events_of(outcome: str) -> tuple[int, list[str]]:
    events: list[str] = []
    response = ask(Recorded(yield_cleanup.create_app(events.append), events), "GET", f"/{outcome}")
    return response.status_code, events


ENTERED = ["function enters", "request enters", "endpoint"]
SENT = ["sends start", "sends body"]


def test_when_all_is_well_one_is_cleaned_up_before_the_response_and_the_other_after_the_background_task() -> None:
    after = ["background", "request exits", "returns"]
    assert events_of("well") == (200, [*ENTERED, "function exits", *SENT, *after])


def test_an_http_exception_passes_through_both_before_the_response() -> None:
    status, events = events_of("refused")
    cleanup = ["function sees HTTPException", "function exits", "request sees HTTPException", "request exits"]
    assert (status, events) == (409, [*ENTERED, *cleanup, *SENT, "returns"])


def test_any_exception_does_so_and_no_background_task_runs() -> None:
    status, events = events_of("broken")
    cleanup = ["function sees ValueError", "function exits", "request sees ValueError", "request exits"]
    assert (status, events) == (
        500,
        [*ENTERED, *cleanup, *SENT],
    )  # and it goes on to the server: the app did not return


def test_a_background_task_fails_too_late_for_the_client() -> None:
    status, events = events_of("broken-background")
    after = ["background", "request sees ValueError", "request exits"]
    assert (status, events) == (200, [*ENTERED, "function exits", *SENT, *after])


# body_limit


def chunks(number: int) -> Iterator[bytes]:
    for _ in range(number):
        yield CHUNK


def received(app: Any, path: str, content: Any, **headers: str) -> tuple[int, int]:
    """The status, and how many bytes of the body the app has received when its server has stopped."""
    recorded = Recorded(app, [])
    return ask(recorded, "POST", path, content=content, headers=headers).status_code, recorded.received


@pytest.mark.parametrize("content", [lambda: CHUNK * 50, lambda: chunks(50)], ids=["declared", "chunked"])
def test_without_a_limit_everything_is_read_from_anybody(content: Any) -> None:
    assert received(body_limit.create_app(None), "/note", content()) == (401, 500_000)


def test_a_declared_length_above_the_limit_is_refused_unread() -> None:
    assert received(body_limit.create_app(100_000), "/note", CHUNK * 50) == (413, 0)


def test_a_chunked_body_is_read_until_it_has_passed_the_limit() -> None:
    status, size = received(body_limit.create_app(100_000), "/note", chunks(500))
    assert status == 413
    assert 100_000 < size < 1_000_000  # what one message of the server holds beyond it, and not all five million


def test_within_the_limit_a_body_is_still_read_before_the_token_is_looked_at() -> None:
    assert received(body_limit.create_app(100_000), "/note", CHUNK * 10) == (401, 100_000)


def test_a_route_has_its_own_limit() -> None:
    app = body_limit.create_app(100_000)
    assert received(app, "/upload", CHUNK * 50, **GOOD) == (200, 500_000)
    assert received(app, "/upload", CHUNK * 90, **GOOD) == (413, 0)


# auth_before_body


@pytest.mark.parametrize("content", [lambda: CHUNK * 50, lambda: chunks(50)], ids=["declared", "chunked"])
def test_nothing_is_read_before_the_sender_is_known(content: Any) -> None:
    assert received(auth_before_body.app, "/upload", content()) == (401, 0)
    assert received(auth_before_body.app, "/upload", content(), Authorization="Bearer bad") == (401, 0)
    assert received(auth_before_body.app, "/upload", content(), **GOOD) == (200, 500_000)


def test_the_upload_is_what_was_sent() -> None:
    response = ask(auth_before_body.app, "POST", "/upload", content=b"abc", headers=GOOD)
    assert response.json()["bytes"] == 3
    assert response.json()["sha256"].startswith("ba7816bf")


@pytest.mark.usefixtures("no_blocking")
async def test_no_endpoint_blocks_the_loop() -> None:
    asked = [
        (
            error_precedence.create_app(lambda name: None),
            "/items/1?size=1",
            {"json": {"price": 2}, "headers": {"X-Tenant": "1"}},
        ),
        (body_limit.create_app(1000), "/note", {"content": b"x", "headers": {"Content-Type": "text/plain"}}),
        (auth_before_body.app, "/upload", {"content": b"x"}),
    ]
    for app, path, body in asked:
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app", headers=GOOD)
        async with client:
            assert (await client.post(path, **body)).status_code == 200
    for app, path in [(response_filtering.app, "/annotated"), (yield_cleanup.create_app(lambda name: None), "/well")]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            assert (await client.get(path)).status_code == 200


# transaction


@pytest.fixture
def database(tmp_path: Path) -> str:
    return str(tmp_path / "orders.db")


def test_an_order_is_committed_before_the_client_hears_of_it(database: str) -> None:
    with serve(transaction.create_app(database)) as server:
        assert httpx.post(server.url + "/orders?product=1").status_code == 201
        assert stored(database) == [1]
        assert httpx.get(server.url + "/orders").json() == [1]


def stored(database: str) -> list[int]:
    connection = sqlite3.connect(database)
    try:
        return [product for (product,) in connection.execute("SELECT product FROM orders")]
    finally:
        connection.close()


def test_a_commit_that_fails_is_told_to_the_client_and_stores_nothing(database: str) -> None:
    response = ask(transaction.create_app(database), "POST", "/orders?product=2")
    assert (response.status_code, response.json()) == (409, {"detail": "no such product"})
    assert stored(database) == []


def test_in_the_default_scope_the_client_is_told_of_an_order_that_is_not_there(database: str) -> None:
    with serve(transaction.create_app(database, scope="request")) as server:
        response = httpx.post(server.url + "/orders?product=2")
    assert (response.status_code, response.json()) == (201, {"ordered": 2})
    assert stored(database) == []
    assert any("IntegrityError" in line for line in server.log)


@pytest.mark.parametrize("scope", ["function", "request"])
def test_every_connection_is_closed(database: str, scope: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def kept(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened.append(connect(*arguments, **options | {"check_same_thread": False}))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", kept)
    with serve(transaction.create_app(database, scope)) as server:
        for request in ("?product=1", "?product=2", "?product=x"):
            httpx.post(server.url + "/orders" + request)
    assert len(opened) == 4
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
