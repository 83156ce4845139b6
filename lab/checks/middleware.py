"""The checks of chapter 03."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from typing import Any

from lab.judging import awaitable, called, eventually, exercise, require, settled, shown

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Request:
    """One call of an app by a server: what the app receives, and all that it sends."""

    def __init__(self, path: str = "/", headers: Iterable[tuple[bytes, bytes]] = (), method: str = "GET") -> None:
        self.scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": list(headers),
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        }
        self.messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        await asyncio.Event().wait()  # the client waits for its response
        raise AssertionError

    async def send(self, message: Message) -> None:
        require(isinstance(message, dict), got=f"send({shown(message)})", expected="send() of a dict with a type")
        self.sent.append({**message, "headers": list(message.get("headers", ()))})  # now: a later change is too late

    def begin(self, app: App) -> "asyncio.Future[None]":
        return asyncio.ensure_future(awaitable(app(self.scope, self.receive, self.send)))

    async def end(self, running: "asyncio.Future[None]") -> None:
        """Waits for the app to return; refuses it when it does not."""
        if not await eventually(running.done):
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            require(False, got=f"no end, after sending {listed(self.types)}", expected="the app to return")
        await running

    async def ask(self, app: App) -> "Request":
        await self.end(self.begin(app))
        return self

    @property
    def types(self) -> list[str]:
        return [str(message.get("type")) for message in self.sent]

    @property
    def status(self) -> int | None:
        return self.sent[0].get("status") if self.sent else None

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    def values(self, name: bytes) -> list[str]:
        """The values of a header of the response's start."""
        headers = self.sent[0]["headers"] if self.sent else []
        for pair in headers:
            right = len(pair) == 2 and all(isinstance(part, bytes) for part in pair)
            require(right, got=f"a header {shown(tuple(pair))}", expected="a pair of bytes", look="str.encode()")
        return [value.decode("latin-1") for key, value in headers if key.lower() == name]


def listed(types: list[str]) -> str:
    return ", ".join(types) or "nothing"


# 3.1 A pure ASGI middleware


class Clock:
    """Seconds that pass when the check says so."""

    def __init__(self) -> None:
        self.now, self.asked = 5000.0, 0

    def __call__(self) -> float:
        self.asked += 1
        return self.now


OWN = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"server-timing", b"db;dur=3")]
LENGTHS = range(10, 110, 10)  # milliseconds


class Timed:
    """An app that takes as many milliseconds of the clock as its path says, and one for each other kind of trouble."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.shared = list(OWN)
        self.gates: dict[str, asyncio.Event] = {}

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await converse(scope, receive, send)
            return
        path = scope["path"].strip("/")
        headers = self.shared if path == "same" else list(OWN)
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        if path.isdigit():
            self.clock.now += int(path) / 1000
        elif path == "really":
            await asyncio.sleep(0.05)
        elif path.startswith("waits"):
            await self.gate(path).wait()
        await send(start)
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        if path == "stream":
            await self.gate(path).wait()
            self.clock.now += 9
        elif path == "breaks":
            raise ConnectionError("the stream broke")
        await send({"type": "http.response.body", "body": b"two"})

    def gate(self, path: str) -> asyncio.Event:
        return self.gates.setdefault(path, asyncio.Event())


async def converse(scope: Message, receive: Receive, send: Send) -> None:
    """The app's side of a lifespan, or of a websocket that echoes."""
    while True:
        message = await receive()
        if message["type"].startswith("lifespan"):
            await send({"type": message["type"] + ".complete"})
        elif message["type"] == "websocket.connect":
            await send({"type": "websocket.accept", "headers": list(OWN)})
        elif message["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        if message["type"] in ("lifespan.shutdown", "websocket.disconnect"):
            return


@exercise("3.1", seconds=10)
async def server_timing(answer: Callable[[App, Clock], App]) -> str:
    """Server-Timing as pure ASGI."""
    clock = Clock()
    app = Timed(clock)
    with called("ServerTiming(app, clock)"):
        middleware = answer(app, clock)
    await durations(middleware, clock)
    await overlapping(middleware, app, clock)
    await streaming(middleware, app)
    await breaking(middleware)
    await conversations(middleware)
    for _ in range(2):
        with called("GET /same, whose responses start with the same list of headers each time"):
            request = await Request("/same").ask(middleware)
        timing_of(request)
    return "each request by the clock, streams and their failures, websocket and lifespan passed on"


def timing_of(request: Request) -> str:
    """The header that the answer has added to a response in which all else must be as the app made it."""
    whole = request.types[:1] == ["http.response.start"] and set(request.types[1:]) == {"http.response.body"}
    require(whole, got=f"sent {listed(request.types)}", expected="http.response.start, then http.response.body")
    require(request.body == b"one two", got=f"body {shown(request.body)}", expected="body b'one two'")
    cookies, timings = request.values(b"set-cookie"), request.values(b"server-timing")
    require(
        cookies == ["a=1", "b=2"],
        got=f"set-cookie {', '.join(cookies) or 'gone'}",
        expected="set-cookie a=1, b=2, as the app sent them",
        look="headers are a list of pairs, in which a name may occur again",
    )
    added = [value for value in timings if value != "db;dur=3"]
    require(
        added,
        got="no Server-Timing of yours in http.response.start",
        expected="Server-Timing: app;dur=…",
        look="the start takes the headers along: what you change after `await send(message)` is too late",
    )
    require(
        len(added) == 1,
        got=f"{len(added)} times Server-Timing: app",
        expected="once",
        look="append() changes the app's own list, which it may use again: make a new list",
    )
    require(
        "db;dur=3" in timings,
        got="the app's own Server-Timing is gone",
        expected="db;dur=3 beside yours",
    )
    require(
        re.fullmatch(r"app;dur=\d+(\.\d+)?(e-\d+)?", added[0]),
        got=f"Server-Timing: {added[0]}",
        expected="Server-Timing: app;dur= and a number",
    )
    return added[0].partition("=")[2]


async def durations(middleware: App, clock: Clock) -> None:
    """Ten requests, one after the other, the first of 10 ms and the last of 100 ms."""
    values = []
    for length in LENGTHS:
        clock.now += 1  # between two requests
        with called(f"GET /{length}, which takes {length} ms of the clock"):
            request = await Request(f"/{length}").ask(middleware)
        values.append(timing_of(request))
    if not clock.asked:
        with called("GET /really, which takes 50 ms of the world and none of the clock"):
            request = await Request("/really").ask(middleware)
        own_clock = float(timing_of(request)) > 40
        require(
            not own_clock,
            got="a duration of another clock than the given one",
            expected="a difference of two readings of clock()",
            look="time.time() may go back, and cannot be tested; a clock that is passed in can",
        )
        with called("GET /10 to GET /100, which take 10 to 100 ms of the clock"):
            require(
                False,
                got=f"app;dur={values[0]}, and no reading of the clock",
                expected="app;dur=10 to app;dur=100",
                look="the clock, when a request arrives and when its response starts",
            )
    for length, value in zip(LENGTHS, values, strict=True):
        text = f"app;dur={value} for a request of {length} ms"
        require(
            abs(float(value) - length) < 0.6,
            got=text if float(value) >= 0.005 else f"app;dur of nothing for a request of {length} ms",
            expected=f"app;dur={length}",
            look="the clock gives seconds, the header takes milliseconds"
            if abs(float(value) * 1000 - length) < 0.6
            else "from this request's arrival to the start of its response",
        )


async def overlapping(middleware: App, app: Timed, clock: Clock) -> None:
    first, second = Request("/waits/1"), Request("/waits/2")
    with called("two requests at once: the second comes 50 ms after the first, both end after 80 ms more"):
        running = [first.begin(middleware)]
        await settled()
        clock.now += 0.05
        running.append(second.begin(middleware))
        await settled()
        clock.now += 0.08
        for path in ("waits/1", "waits/2"):
            app.gate(path).set()
        await first.end(running[0])
        await second.end(running[1])
    got = [float(timing_of(request)) for request in (first, second)]
    require(
        all(abs(value - right) < 0.6 for value, right in zip(got, (130, 80), strict=True)),
        got=f"app;dur={got[0]:g} and app;dur={got[1]:g}",
        expected="app;dur=130 and app;dur=80",
        look="one middleware serves all requests: what belongs to one is a local variable, not on self",
    )


async def streaming(middleware: App, app: Timed) -> None:
    request = Request("/stream")
    with called("GET /stream, while its body is not complete"):
        running = request.begin(middleware)
        await settled()
        begun = request.types == ["http.response.start", "http.response.body"]
        sent = listed(request.types)
        app.gate("stream").set()
        await request.end(running)
    require(
        begun,
        got=f"sent {sent}",
        expected="sent http.response.start, http.response.body",
        look="pass each message on as it comes: a stream may never end, and a file may not fit into memory",
    )
    timing_of(request)


async def breaking(middleware: App) -> None:
    request, error = Request("/breaks"), None
    with called("GET /breaks, whose app raises in the middle of the body"):
        try:
            await request.ask(middleware)
        except ConnectionError as raised:
            error = raised
    require(
        error,
        got="no exception",
        expected="ConnectionError, for the server to hear of",
        look="except without raise: nobody learns that the response broke",
    )
    require(
        request.types == ["http.response.start", "http.response.body"],
        got=f"sent {listed(request.types)}",
        expected="nothing after the failure: the server then cuts the connection",
        look="BaseHTTPMiddleware ends the stream for you, and the client takes it for whole: write it as pure ASGI",
    )


async def conversations(middleware: App) -> None:
    for kind in CONVERSATIONS:
        request = await hold(kind, middleware)
        changed = kind == "websocket" and request.sent[0]["headers"] != OWN
        require(not changed, got=f"headers {shown(request.sent[0]['headers'])}", expected=f"headers {shown(OWN)}")


async def hold(kind: str, app: App) -> Request:
    """A lifespan or a websocket, from its beginning to its end."""
    request = Request()
    incoming, right = CONVERSATIONS[kind]
    request.messages = [dict(message) for message in incoming]
    request.scope["type"] = kind
    for key in ("method", "path", "headers") if kind == "lifespan" else ("method",):
        del request.scope[key]
    look = (KeyError, f'scope["type"]: a {kind} scope has other keys than a request')
    with called(f"a {kind} scope and its messages", look):
        await request.ask(app)
    require(
        request.types == right,
        got=f"sent {listed(request.types)}",
        expected=f"sent {listed(right)}",
        look="" if request.types else "what is not http is passed on to the app, not dropped",
    )
    return request


CONVERSATIONS: dict[str, tuple[list[Message], list[str]]] = {
    "websocket": (
        [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": "hello"},
            {"type": "websocket.disconnect", "code": 1000},
        ],
        ["websocket.accept", "websocket.send"],
    ),
    "lifespan": (
        [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}],
        ["lifespan.startup.complete", "lifespan.shutdown.complete"],
    ),
}


# 3.2 The order of layers

PAGE = "https://app.example.com"
ORDER = ["request_ids", "hosts", "cors", "errors"]


class Layers:
    """The four layers, ready to be added; each notes that it was passed."""

    def __init__(self) -> None:
        from starlette.middleware.cors import CORSMiddleware
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        self.passed: list[str] = []
        self.request_ids = self.noting("request_ids", with_id)
        self.hosts = self.noting("hosts", lambda app: TrustedHostMiddleware(app, allowed_hosts=["api.example.com"]))
        self.cors = self.noting("cors", lambda app: CORSMiddleware(app, allow_origins=[PAGE]))
        self.errors = self.noting("errors", with_errors)

    def noting(self, name: str, layer: Callable[[App], App]) -> Callable[[App], App]:
        def added(app: App) -> App:
            inner = layer(app)

            async def noted(scope: Message, receive: Receive, send: Send) -> None:
                if scope["type"] == "http":
                    self.passed.append(name)
                await inner(scope, receive, send)

            return noted

        return added


def with_id(app: App) -> App:
    async def layer(scope: Message, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"x-request-id", b"7")]}
            await send(message)

        await app(scope, receive, send_with_id)

    return layer


def with_errors(app: App) -> App:
    async def layer(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except Exception:
            headers = [(b"content-type", b"application/json")]
            await send({"type": "http.response.start", "status": 500, "headers": headers})
            await send({"type": "http.response.body", "body": b'{"detail":"a bug of ours"}'})

    return layer


@exercise("3.2", seconds=10)
async def order_of_layers(answer: Callable[..., object]) -> str:
    """Four layers in the right order."""
    from starlette.applications import Starlette  # which FastAPI is, and which loads much faster
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    layers, calls = Layers(), []

    async def home(request: object) -> PlainTextResponse:
        calls.append("/")
        return PlainTextResponse("hello")

    async def bug(request: object) -> PlainTextResponse:
        raise RuntimeError("a bug of ours")

    api = Starlette(routes=[Route("/", home), Route("/bug", bug)])
    with called("add_layers(app, request_ids, hosts, cors, errors)"):
        made = answer(api, *[getattr(layers, name) for name in ORDER])
    app: App = made if callable(made) else api  # the layers may be wrapped around the app as well

    async def ask(path: str, method: str = "GET", host: str = "api.example.com") -> Request:
        what = "a preflight for" if method == "OPTIONS" else method
        headers = [(b"host", host.encode()), (b"origin", PAGE.encode())]
        if method == "OPTIONS":
            headers.append((b"access-control-request-method", b"GET"))
        with called(f"{what} {path} of {host}, from the page {PAGE}"):
            return await Request(path, headers, method).ask(app)

    request = await ask("/")
    passed = list(layers.passed)
    seen = f"; from the outside in: {', '.join(passed)}"
    for name in ORDER:
        times = passed.count(name)
        require(times, got=f"{name} was not passed", expected="each of the four layers once")
        require(times == 1, got=f"{name} was passed {times} times", expected="each of the four layers once")
    require(calls == ["/"], got=f"{len(calls)} calls of the endpoint", expected="1")
    require(
        passed != ORDER[::-1],
        got=f"from the outside in: {', '.join(passed)}",
        expected=f"from the outside in: {', '.join(ORDER)}",
        look="the last one that is added is the outermost: add them from the inside out",
    )
    require(
        request.status == 200 and request.values(b"access-control-allow-origin") == [PAGE],
        got=f"status {request.status}{seen}",
        expected="status 200, for the page to read",
    )
    failed = await ask("/bug")
    require(
        failed.status == 500 and failed.values(b"access-control-allow-origin") == [PAGE],
        got=f"{failed.status} without Access-Control-Allow-Origin{seen}",
        expected="500 with it: the page must be able to read the error",
        look="cors adds its headers to what comes from further in: errors makes the 500, so it belongs inside cors",
    )
    preflight = await ask("/", "OPTIONS", "evil.example")
    require(
        preflight.status == 400,
        got=f"{preflight.status} by cors{seen}",
        expected="400 by hosts: a request for another host is nobody's business further in",
        look="cors answers a preflight itself, and asks nobody further in",
    )
    for path, method, host in (
        ("/", "GET", "evil.example"),
        ("/", "OPTIONS", "api.example.com"),
        ("/bug", "GET", "api.example.com"),
    ):
        request = await ask(path, method, host)
        require(
            request.values(b"x-request-id") == ["7"],
            got=f"{request.status} without X-Request-ID{seen}",
            expected="every response with X-Request-ID",
            look="a layer sees the responses that are made further in than itself",
        )
    return "from the outside in: " + ", ".join(passed)


# 3.3 Request ids

VALID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NAME = b"x-request-id"
FORGED = {
    "with a line break in it": b"order-66\nINFO root logged in",
    "with a line break at its end": b"order-66\n",
    "of 10,000 characters": b"order-66--" * 1000,
    "with a terminal's code": b"order-66\x1b[2J",
    "that is not ASCII": "order-é".encode(),
    "without a character": b"",
}


class Collecting(logging.Handler):
    """Keeps the request id and the message of each line."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[object, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((getattr(record, "request_id", None), record.getMessage()))


class Logging:
    """An app that logs on the loop, in a thread and in a task of its own, while others do the same."""

    def __init__(self, handler: logging.Handler) -> None:
        self.log = logging.Logger("app", logging.INFO)
        self.log.addHandler(handler)
        self.inside = self.most = 0
        self.together = asyncio.Event()
        self.expected = 1

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        from anyio.to_thread import run_sync

        if scope["type"] != "http":
            await converse(scope, receive, send)
            return
        path = scope["path"]
        self.log.info("%s begins", path)
        self.inside += 1
        if self.inside == self.expected:
            self.together.set()
        await self.together.wait()
        self.log.info("%s goes on", path)
        await run_sync(self.log.info, "%s in a thread", path)
        await asyncio.create_task(self.in_a_task(path))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"kept")]})
        await send({"type": "http.response.body", "body": path.encode()})
        self.log.info("%s ends", path)

    async def in_a_task(self, path: str) -> None:
        self.log.info("%s in a task", path)


class Wrapped:
    """The answer's app with the log of its requests."""

    def __init__(self, answer: Callable[[App, logging.Handler], App]) -> None:
        self.handler = Collecting()
        self.app = Logging(self.handler)
        with called("with_request_ids(app, handler)"):
            self.outer = answer(self.app, self.handler)
        require(callable(self.outer), got=shown(self.outer), expected="an ASGI app, around the given one")

    async def ask(self, *ids: bytes | None) -> list[tuple[Request, str]]:
        """Requests at once, each with its id of the response, in which all else must be as the app made it."""
        self.handler.lines.clear()
        self.app.expected, self.app.inside, self.app.together = len(ids), 0, asyncio.Event()
        requests = [Request(f"/{number}", [] if id is None else [(NAME, id)]) for number, id in enumerate(ids, start=1)]
        running = [request.begin(self.outer) for request in requests]
        for request, task in zip(requests, running, strict=True):
            await request.end(task)
        answered = []
        for request in requests:
            require(
                request.status == 200 and request.body == request.scope["path"].encode(),
                got=f"sent {listed(request.types)}, body {shown(request.body)}",
                expected="the response of the app",
            )
            found = request.values(NAME)
            require(
                len(found) == 1 and request.values(b"x-own") == ["kept"],
                got=f"{len(found)} headers X-Request-ID, and x-own {', '.join(request.values(b'x-own')) or 'gone'}",
                expected="one X-Request-ID, beside the headers of the app",
                look="send: the message http.response.start takes the headers along",
            )
            answered.append((request, found[0]))
        return answered

    def require_lines(self, answered: list[tuple[Request, str]]) -> None:
        """Each line of the log must have the id of the response to the same request."""
        ids = {request.scope["path"]: id for request, id in answered}
        for where, look in WHERE.items():
            for id, message in self.handler.lines:
                path, _, what = message.partition(" ")
                if what == where:
                    mixed = id != ids[path] and id in ids.values()
                    require(
                        id == ids[path],
                        got=f"the line {message!r} with "
                        + ("the id of another request" if mixed else "no request_id" if id is None else shown(id)),
                        expected="the id of its request",
                        look=MIXED if mixed else look if id is not None else FILTER,
                    )


MIXED = "one variable for all requests holds the last one's id: contextvars.ContextVar has a value for each"
FILTER = "handler.addFilter(function): it gets every record, and may set record.request_id"
WHERE = {
    "begins": "the variable is set before the app is called",
    "goes on": "the value must stay while the request waits",
    "in a thread": "run_in_threadpool copies the context into its thread; what hangs on the task stays behind",
    "in a task": "a new task copies the context; what hangs on the old task stays behind",
    "ends": "the value must stay until the app returns",
}


@exercise("3.3", seconds=15)
async def request_ids(answer: Callable[[App, logging.Handler], App]) -> str:
    """One id for a request."""
    factory = logging.getLogRecordFactory()
    try:
        return await examined(answer)
    finally:
        logging.setLogRecordFactory(factory)  # an answer may have set one, and this process goes on


async def examined(answer: Callable[[App, logging.Handler], App]) -> str:
    wrapped = Wrapped(answer)
    with called("GET / with X-Request-ID: order-66.a_B"):
        answered = await wrapped.ask(b"order-66.a_B")
    require(
        answered[0][1] == "order-66.a_B",
        got="another X-Request-ID in the response",
        expected="X-Request-ID: order-66.a_B",
        look="a valid id is taken: it ties your log to the caller's",
    )
    wrapped.require_lines(answered)
    made = []
    for _ in range(2):
        with called("GET / without X-Request-ID"):
            answered = await wrapped.ask(None)
        wrapped.require_lines(answered)
        made.append(answered[0][1])
        require(VALID.fullmatch(made[-1]), got=f"X-Request-ID: {shown(made[-1])}", expected="a valid id, made for it")
    require(
        made[0] != made[1],
        got="the same id for two requests",
        expected="an id for each",
        look="uuid4() for each request, where the request arrives",
    )
    for what, forged in FORGED.items():
        with called(f"GET / with an X-Request-ID {what}"):
            answered = await wrapped.ask(forged)
        id = answered[0][1]
        require(
            id.encode("latin-1") != forged,
            got="the same in the response, and in the log",
            expected="another id, made for it",
            look=LOOKS.get(what, "what a client sends goes into your log: fullmatch it against what is valid"),
        )
        part = VALID.fullmatch(id) and forged.startswith(id.encode()[:6])
        require(
            VALID.fullmatch(id) and not part,
            got=f"X-Request-ID: {shown(id)}",
            expected="a valid id, made for it",
            look="a part of an invalid id is still the client's, and may be the id of another request" if part else "",
        )
        wrapped.require_lines(answered)
    with called("20 requests at once, each with its own X-Request-ID"):
        answered = await wrapped.ask(*[b"id-%d" % number for number in range(20)])
    wrapped.require_lines(answered)
    for number, (_, id) in enumerate(answered):
        require(
            id == f"id-{number}",
            got=f"X-Request-ID: {shown(id)} in the response to id-{number}",
            expected=f"id-{number}",
            look=MIXED,
        )
    for kind in CONVERSATIONS:
        await hold(kind, wrapped.outer)
    return "taken or made, in the response and in every line, for 20 requests at once"


LOOKS = {
    "with a line break at its end": "$ matches before a line break at the end as well: fullmatch does not",
}
