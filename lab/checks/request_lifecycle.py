"""The checks of chapter 02: each serves the answer's app, asks it, and looks at what the app did."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from lab.judging import Refusal, Refused, called, eventually, exercise, raised_at, require, shown, sitting

if TYPE_CHECKING:
    from fastapi import FastAPI

Report = Callable[[str], object]


class Witness:
    """The answer's app, with `events` of what it does, and `read`, the bytes of body it had when it began to answer."""

    def __init__(self, app: Any, events: list[str]) -> None:
        self.app, self.events = app, events
        self.begun = self.ended = self.read = 0
        self.raised: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read, answering = 0, False

        async def receive_and_count() -> Any:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request" and not answering:
                read += len(message.get("body", b""))
                if not message.get("more_body"):
                    self.events.append("the body is read")
            return message

        async def send_and_tell(message: Any) -> None:
            nonlocal answering
            if message["type"] == "http.response.start":
                answering, self.read = True, read
                self.events.append(f"send {message['status']}")
            await send(message)

        self.begun += 1
        try:
            await self.app(scope, receive_and_count, send_and_tell)
        except BaseException as error:
            self.raised = error
            raise
        finally:
            self.ended += 1

    async def done(self) -> None:
        """When every call of the app has ended: what runs after the response has run then."""
        require(
            await eventually(lambda: self.ended == self.begun, within=3),
            got="an app that did not end after its response",
            expected="an end",
            look="what runs after the response: background tasks, cleanup in scope request",
        )


@dataclass(frozen=True)
class Answered:
    """A response, and what the app did for it."""

    status: int
    headers: dict[str, str]
    text: str
    events: list[str]
    read: int

    @property
    def json(self) -> Any:
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


class Asking:
    """Asks the answer's app, on a server."""

    def __init__(self, url: str, witness: Witness) -> None:
        self.address, self.witness = urlsplit(url).netloc, witness

    async def __call__(self, what: str, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        """What came back, once everything has run. `what` tells the request beside its method and path."""
        witness = self.witness
        witness.events.clear()
        witness.raised, witness.read = None, 0
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with called(f"{method} {path}{what}"):
            status, received, text = await asyncio.to_thread(self.exchange, method, path, body, named)
        await witness.done()
        return Answered(status, received, text, list(witness.events), witness.read)

    def exchange(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        connection = HTTPConnection(self.address, timeout=30)  # longer than any exercise: its own limit tells more
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read().decode(errors="replace")
            return response.status, {name.lower(): value for name, value in response.getheaders()}, text
        finally:
            connection.close()

    def require_status(self, answered: Answered, status: int, look: str = "") -> None:
        """Refuses another status, and tells of the exception behind an unexpected 500, and of its line."""
        if answered.status == status:
            return
        raised, got, place = self.witness.raised, f"status {answered.status}", None
        if answered.status != 500:
            got += f": {shown(answered.json)}"
        elif raised is not None:
            got += f", from {shown(raised)}"
            place = raised_at(raised)
        raise Refused(Refusal(sitting.called, got, f"status {status}", look, place))


@contextmanager
def served(make_app: Any, *arguments: Any, given: str, events: list[str]) -> Iterator[Asking]:
    from lab.serving import serve  # here: whoever only asks for the list of exercises needs no server

    with called(f"make_app({given})"):
        app = make_app(*arguments)
    require(callable(app), got=shown(app), expected="an app", look="return app")
    witness = Witness(app, events)
    with serve(witness) as server:
        yield Asking(server.url, witness)


def listed(events: list[str]) -> str:
    return ", ".join(events) or "nothing"


# 2.1 The order of ten events


def ten_events(report: Report) -> "FastAPI":
    """An app that reports eight of the ten events; its server sees the other two, body and response."""
    from fastapi import BackgroundTasks, Depends, FastAPI, Header
    from pydantic import AfterValidator, BaseModel

    def reports(event: str) -> AfterValidator:
        return AfterValidator(lambda value: (report(event), value)[1])

    class Order(BaseModel):
        quantity: Annotated[int, reports("the body is validated")]

    class Receipt(BaseModel):
        total: Annotated[int, reports("the response is validated")]

    async def token(authorization: Annotated[str, Header()]) -> None:
        report("the token is checked")

    async def session(token: Annotated[None, Depends(token)]) -> AsyncIterator[None]:
        report("the session opens")
        yield
        report("the session closes")

    app = FastAPI()

    @app.post("/shops/{shop}")
    async def buy(
        shop: Annotated[int, reports("the path is validated")],
        order: Order,
        session: Annotated[None, Depends(session, scope="function")],
        tasks: BackgroundTasks,
    ) -> Receipt:
        report("the endpoint runs")
        tasks.add_task(report, "the background task runs")
        return {"total": order.quantity}  # type: ignore[return-value]

    return app


WHY = {
    "the body is read": "fastapi.routing.get_request_handler: what does it do before it calls solve_dependencies?",
    "the token is checked": "solve_dependencies: a dependency's own dependencies come before it",
    "the session opens": "solve_dependencies: dependencies come before the endpoint's own parameters",
    "the path is validated": "solve_dependencies: path, query, header and cookie come before the body",
    "the body is validated": "get_request_handler: the endpoint is called when there are no errors",
    "the endpoint runs": "get_request_handler: run_endpoint_function comes before serialize_response",
    "the response is validated": "get_request_handler returns a finished response: what is needed for that?",
    "the session closes": 'request_response: what does the stack of scope="function" close before?',
    "the response is sent": "starlette.responses.Response.__call__: the background task is its last line",
    "the background task runs": "starlette.responses.Response.__call__: the background task is its last line",
}


async def traced_order() -> list[str]:
    """The ten events in the order of a real request."""
    events: list[str] = []
    with served(ten_events, events.append, given="report", events=events) as ask:
        done = await ask(
            "", "POST", "/shops/1", b'{"quantity": 3}', Content_Type="application/json", Authorization="Bearer x"
        )
    return ["the response is sent" if event == "send 200" else event for event in done.events]


@exercise("2.1", seconds=8)
async def order_of_ten_events(answer: Callable[[], list[str]]) -> str:
    """The order of ten events."""
    with called("order()"):
        said = answer()
    truth = await traced_order()
    with called("order()"):
        graded(said, truth)
    return "all ten in the order of a real request"


def graded(said: list[str], truth: list[str]) -> None:
    """Refuses another order, and tells how far it is right."""
    require(isinstance(said, list | tuple), got=shown(said), expected="a list of the ten events")
    unknown = [event for event in said if event not in truth]
    require(not unknown, got=f"the event {shown(unknown[:1])[1:-1]}", expected="the words of the ten events")
    missing = [event for event in truth if event not in said]
    require(not missing, got=f"{len(said)} events, without {shown(missing[:1])[1:-1]}", expected="all ten events")
    require(len(said) == len(truth), got=f"{len(said)} events", expected="each of the ten once")
    wrong = [place for place, event in enumerate(truth) if said[place] != event]
    if wrong:
        first = wrong[0]
        require(
            False,
            got=f"{10 - len(wrong)} of 10 in place; place {first + 1} is the first that is not: {said[first]}",
            expected=f"in place {first + 1}, an event that you have later",
            look=WHY[truth[first]],
        )


# 2.2 A transaction


class Session:
    """A database session that tells what is done with it."""

    def __init__(self, events: list[str], commit_fails: bool) -> None:
        self.events, self.commit_fails = events, commit_fails

    async def insert(self, quantity: int) -> None:
        self.events.append("insert")
        if quantity == 13:
            raise ConnectionError("the database is gone")

    async def commit(self) -> None:
        self.events.append("commit")
        if self.commit_fails:
            raise ConnectionError("the commit failed")

    async def rollback(self) -> None:
        self.events.append("rollback")

    async def close(self) -> None:
        self.events.append("close")


SCOPE = 'Depends(transaction, scope="function"): the default scope ends after the response'


@exercise("2.2", seconds=10)
async def transaction(answer: Callable[[Any], Any]) -> str:
    """A transaction for each request."""
    events: list[str] = []
    commit_fails = False

    async def connect() -> Session:
        events.append("connect")
        return Session(events, commit_fails)

    with served(answer, connect, given="connect", events=events) as ask:
        for _ in range(2):
            stored_and_told(ask, await ask(", which is fine", "POST", "/orders?quantity=2"))
        for quantity, why, status in (
            (99, ", where the endpoint raises HTTPException(409)", 409),
            (13, ", where insert raises ConnectionError", 500),
        ):
            rolled_back(ask, await ask(why, "POST", f"/orders?quantity={quantity}"), status)
        bad = await ask(", which is a 422", "POST", "/orders?quantity=x")
        ask.require_status(bad, 422)
        require("commit" not in bad.events, got=listed(bad.events), expected="no commit", look=RAISED)
        require(
            bad.events.count("close") == bad.events.count("connect"),
            got=f"{listed(bad.events)}, and no close",
            expected="close",
            look=RAISED,
        )
        commit_fails = True
        failed = await ask(", where commit raises", "POST", "/orders?quantity=2")
        ask.require_status(failed, 500, look="the client must not be told of success")
        require(
            "close" in failed.events,
            got=f"{listed(failed.events)}, and no close",
            expected="close, whatever happens",
            look="commit can fail too: only finally, or async with, sees to the close",
        )
    return "committed before the client knew, rolled back on errors, closed each time"


RAISED = "an exception of the endpoint, or of another parameter, is raised at your yield"


def stored_and_told(ask: Asking, done: Answered) -> None:
    seen = listed(done.events)
    ask.require_status(done, 200)
    require(
        done.events.count("connect") == 1,
        got=seen,
        expected="connect, once for each request",
        look="a session is not shared between requests",
    )
    require("insert" in done.events, got=seen, expected="the endpoint's insert", look="yield the session")
    require("commit" in done.events, got=seen, expected="commit", look="after yield: the endpoint has returned")
    commit, sent = done.events.index("commit"), done.events.index("send 200")
    require(
        done.events.index("insert") < commit,
        got=seen,
        expected="commit after insert",
        look="what stands before yield runs before the endpoint",
    )
    require("rollback" not in done.events, got=seen, expected="no rollback", look="roll back on an exception only")
    require("close" in done.events, got=f"{seen}, and no close", expected="close", look="finally")
    require(
        done.events.index("close") > commit,
        got=seen,
        expected="close after commit",
        look="the order of the lines after yield",
    )
    require(commit < sent, got=seen, expected="commit before send 200", look=SCOPE)


def rolled_back(ask: Asking, done: Answered, status: int) -> None:
    seen = listed(done.events)
    require(
        "commit" not in done.events,
        got=seen,
        expected="no commit",
        look=f"{RAISED}: finally runs then as well, and is no place for a commit",
    )
    require(
        "close" in done.events,
        got=f"{seen}, and no close",
        expected="close, whatever happens",
        look=f"{RAISED}: try and finally around it",
    )
    require("rollback" in done.events, got=seen, expected="rollback", look=f"{RAISED}: except, and raise it again")
    require(
        done.events.index("rollback") < done.events.index("close"),
        got=seen,
        expected="rollback before close",
        look="the order of except and finally",
    )
    ask.require_status(done, status, look="raise, as the last line of except: the client's answer is made from it")


# 2.3 Who are you, before what do you want

GOOD_BODY, MALFORMED, INVALID = b'{"name": "pen", "price": 3}', b'{"name": "pen", ', b'{"name": "pen", "price": -3}'
NO_TEXT = b'{"name": "\xff", "price": 3}'
JSON = {"Content_Type": "application/json"}


@exercise("2.3", seconds=10)
async def token_first(answer: Callable[[Any], Any]) -> str:
    """The token before the body."""
    events: list[str] = []
    users = {"token-of-ada": "ada", "token-of-bob": "bob"}
    with served(answer, users.get, given="user_of", events=events) as ask:
        for token, user in users.items():
            with_token = JSON | {"Authorization": f"Bearer {token}"}
            done = await ask(", all good", "POST", "/items", GOOD_BODY, **with_token)
            ask.require_status(done, 200)
            right = {"by": user, "price": 3}
            require(done.json == right, got=shown(done.json), expected=shown(right))
            for body, what in ((INVALID, "a price below zero"), (MALFORMED, "JSON that breaks off")):
                done = await ask(f", a good token and {what}", "POST", "/items", body, **with_token)
                ask.require_status(done, 422, look="whoever may ask gets the errors of the body, as before")
            done = await ask(", a good token and bytes that are no text", "POST", "/items", NO_TEXT, **with_token)
            if done.status != 400:  # what FastAPI says to a declared body
                ask.require_status(done, 422, look="errors() repeats the input, unless include_input=False")
        refused = []
        for headers, who in (
            ({}, "no token"),
            ({"Authorization": "Bearer token-of-eve"}, "an unknown token"),
            ({"Authorization": "Basic YWRhOmFkYQ=="}, "another scheme"),
        ):
            for body, what in ((GOOD_BODY, "a good body"), (MALFORMED, "JSON that breaks off")):
                refused.append(await ask(f", {who} and {what}", "POST", "/items", body, **JSON, **headers))
                is_a_challenge(ask, refused[-1])
        read = max(done.read for done in refused)
        require(
            read == 0,
            got=f"401, after {read} bytes of the body were read",
            expected="401, and nothing read",
            look="a declared body is read before your code runs; an endpoint without one reads it when it likes",
        )
    return "401 before the body is touched, 422 for those who may ask"


def is_a_challenge(ask: Asking, done: Answered) -> None:
    look = {
        403: "403 says: known, but not allowed. 401 says: I do not know who you are",
        422: "a declared body is read and parsed before any dependency is called",
    }
    ask.require_status(done, 401, look=look.get(done.status, ""))
    challenge = done.headers.get("www-authenticate", "")
    require(
        challenge.startswith("Bearer"),
        got=f"401, WWW-Authenticate: {challenge or 'missing'}",
        expected="WWW-Authenticate: Bearer",
        look='HTTPException(401, headers={"WWW-Authenticate": "Bearer"})',
    )


# 2.4 What must not go out

SHOWN = {"name", "email"}


def rows(**more: str) -> dict[str, dict[str, str]]:
    return {
        name: {"name": name, "email": f"{name}@example.org", "password_hash": f"$argon2id${name}", **more}
        for name in ("ada", "bob")
    }


@exercise("2.4", seconds=10)
async def no_hash(answer: Callable[[Any], Any]) -> str:
    """Never show the hash."""
    for more in ({}, {"api_key": "sk-secret"}):
        users = rows(**more)
        given = "users" if not more else "users, with one more column, api_key"
        with served(answer, users, given=given, events=[]) as ask:
            ada, bob = ({"name": name, "email": f"{name}@example.org"} for name in users)
            for path, right in (
                ("/users/ada", ada),
                ("/users", [ada, bob]),
                ("/team", {"lead": ada, "members": [ada, bob]}),
            ):
                done = await ask(f" of make_app({given})", "GET", path)
                ask.require_status(done, 200)
                nothing_secret(done, path)
                require(
                    done.json == right, got=shown(done.json), expected=shown(right), look="name and email, as before"
                )
        require(
            users == rows(**more),
            got=f"users that have lost {listed(sorted(set(rows()['ada']) - set(users['ada'])))}",
            expected="users as they were",
            look="the next login needs the hash: leave the data alone, and filter what goes out",
        )
    return "name and email from all three, whatever columns there are"


def nothing_secret(done: Answered, path: str) -> None:
    keys = set(keys_of(done.json))
    leaked = sorted(keys - SHOWN - {"lead", "members"})
    look = "what your model names goes out: it must not name this"
    if "api_key" in leaked:
        look = "a list of what to leave out forgets what comes later: name what goes out"
    elif path == "/users":
        look = "this endpoint too: a model on each of the three does it, a deletion has to be remembered each time"
    elif path == "/team":
        look = (
            "nested: the model of the team is made of the model of a user, and response_model_exclude sees its top only"
        )
    require(not leaked, got=f"{listed(leaked)} in {shown(done.text)}", expected="name and email only", look=look)


def keys_of(value: Any) -> Iterator[str]:
    """Every key of every object in a JSON value."""
    if isinstance(value, dict):
        yield from value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from keys_of(part)
