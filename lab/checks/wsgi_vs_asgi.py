"""The checks of chapter 01."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, urlsplit

from lab.judging import awaitable, called, eventually, exercise, refuse_for, require, settled, shown

Message = MutableMapping[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]


# 1.1 A raw ASGI app


class Conversation:
    """One call of an ASGI app: what it gets from `receive`, and all that it gives to `send`."""

    def __init__(self, scope: Message, *messages: Message, then: Message) -> None:
        self.scope, self.messages, self.then = scope, list(messages), then
        self.sent: list[Message] = []
        self.waiting = False
        self.complete = asyncio.Event()  # when there is a reason for the last message

    async def receive(self) -> Message:
        if self.messages:
            return self.messages.pop(0)
        self.waiting = True
        await self.complete.wait()
        self.waiting = False
        return self.then

    async def send(self, message: Message) -> None:
        require(isinstance(message, dict), got=f"send({shown(message)})", expected="send() of a dict with a type")
        self.sent.append(message)
        kind = message.get("type")
        if kind == "lifespan.startup.complete" or (kind == "http.response.body" and not message.get("more_body")):
            self.complete.set()

    async def hold(self, app: App, what: str) -> list[str]:
        """Calls the app and returns the types of what it sent."""
        with called(f"await app(scope, receive, send), {what}", (KeyError, LIFESPAN if "lifespan" in what else HTTP)):
            running = asyncio.ensure_future(awaitable(app(self.scope, self.receive, self.send)))
            ended = await eventually(running.done)
            waiting = self.waiting
            if not ended:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running
            else:
                await running
        types = [str(message.get("type")) for message in self.sent]
        require(
            ended,
            got=f"no end: it waits in receive(), after sending {listed(types)}" if waiting else "no end within 1 s",
            expected="the app to return",
            look="one http.request without more_body is the whole request" if waiting else "",
        )
        return types


LIFESPAN = 'scope["type"]: a lifespan scope has no path'
HTTP = "the keys of an http scope: type, method, path, query_string, headers and more"


def listed(types: list[str]) -> str:
    return ", ".join(types) or "nothing"


def request(path: str, method: str = "GET") -> Conversation:
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    return Conversation(
        scope, {"type": "http.request", "body": b"", "more_body": False}, then={"type": "http.disconnect"}
    )


async def respond(app: App, path: str, method: str = "GET") -> tuple[int, str, bytes]:
    """Status, content type and body of the app's response, whose every message must be right."""
    conversation = request(path, method)
    types = await conversation.hold(app, f"{method} {path}")
    order = "http.response.start, then http.response.body"
    require(types, got="nothing sent", expected=order)
    right = types[0] == "http.response.start" and set(types[1:]) == {"http.response.body"}
    require(
        right, got=f"sent {listed(types)}", expected=order, look="a body without a start has no status and no headers"
    )
    start, *bodies = conversation.sent
    status, headers = start.get("status"), start.get("headers", [])
    require(isinstance(status, int), got=f"status {shown(status)}", expected="an int")
    try:
        pairs = [(name, value) for name, value in headers]
    except (TypeError, ValueError):
        pairs = [(headers, None)]
    for pair in pairs:
        require(
            all(isinstance(part, bytes) for part in pair),
            got=f"a header {shown(pair)}",
            expected="a pair of bytes",
            look='b"…": the protocol carries bytes, in headers as in bodies',
        )
    for message in bodies:
        body = message.get("body", b"")
        require(
            isinstance(body, bytes),
            got=f"a body of type {type(body).__name__}: {shown(body)}",
            expected="bytes",
            look="str.encode()",
        )
    require(
        conversation.complete.is_set(),
        got="more_body in the last http.response.body",
        expected="an end",
        look="more_body=False, or no more_body, ends the response",
    )
    content_type = next((value for name, value in pairs if name.lower() == b"content-type"), b"")
    return status, content_type.decode("latin-1"), b"".join(message.get("body", b"") for message in bodies)  # type: ignore[return-value]


@exercise("1.1", seconds=8)
async def raw_asgi_app(answer: App) -> str:
    """An ASGI app by hand."""
    for path, method in (("/echo/hello", "GET"), ("/echo/naïve café", "GET"), ("/echo/posted", "POST")):
        status, content_type, body = await respond(answer, path, method)
        require(status == 200, got=f"status {status}", expected="status 200")
        require(
            content_type.replace(" ", "").lower() == "text/plain;charset=utf-8",
            got=f"content-type {content_type}" if content_type else "no content-type header",
            expected="content-type text/plain; charset=utf-8",
            look="the headers of http.response.start: without a type a client has to guess",
        )
        require(
            body == path.encode(),
            got=f"body {shown(body)}",
            expected=f"body {shown(path.encode())}",
            look='scope["path"] is decoded text; the body is its UTF-8 bytes',
        )
    for path in ("/other", "/echoes", "/"):
        status, content_type, body = await respond(answer, path)
        require(
            status == 404,
            got=f"status {status}",
            expected="status 404",
            look='"/echo/" with both slashes is the prefix' if path == "/echoes" else "a path that is not under /echo/",
        )
        require(
            body and content_type.startswith("text/plain"),
            got=f"body {shown(body)}, content-type {content_type or 'missing'}",
            expected="a few words of text/plain",
            look="the headers and the body of the 404",
        )

    lifespan = Conversation(
        {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}},
        {"type": "lifespan.startup"},
        then={"type": "lifespan.shutdown"},
    )
    types = await lifespan.hold(answer, "a lifespan scope")
    right = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    require(
        types == right,
        got=f"sent {listed(types)}",
        expected=listed(right),
        look="receive, answer, receive, answer: the server waits for both answers",
    )

    with called("GET /echo/naïve café from uvicorn"):
        response = await served(answer, "/echo/naïve café")
    expected = (200, "/echo/naïve café".encode())
    require(response == expected, got=shown(response), expected=shown(expected))
    return "by hand and on uvicorn: echoes as UTF-8, 404 elsewhere, lifespan answered both times"


async def served(app: App, path: str) -> tuple[int, bytes]:
    """Status and body of a response from a real server."""
    from lab.serving import serve  # here: only an answer that got this far needs a server

    def get(url: str) -> tuple[int, bytes]:
        connection = HTTPConnection(urlsplit(url).netloc, timeout=2)
        try:
            connection.request("GET", quote(path))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    async def as_given(scope: Message, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    with serve(as_given) as server:
        return await asyncio.to_thread(get, server.url)


# 1.2 A blocking endpoint

SYMBOLS = ["AAPL", "MSFT", "NVDA", "ORCL"]  # four: the default pool has at least five threads


class Vendor:
    """A blocking client whose calls wait until the check lets them go, so that their overlap is counted."""

    def __init__(self) -> None:
        self.loop_thread = threading.get_ident()
        self.lock = threading.Lock()
        self.gates = {symbol: threading.Event() for symbol in SYMBOLS}
        self.inside = self.peak = self.ended = self.ticks = 0
        self.calls: list[str] = []
        self.tasks_at_block = 0
        self.on_loop = ""
        self.loop_lives = self.over = False

    def fetch(self, symbol: str) -> str:
        with self.lock:
            self.calls.append(symbol)
            self.inside += 1
            self.peak = max(self.peak, self.inside)
        if threading.get_ident() == self.loop_thread:
            if not self.on_loop:  # and do not wait: the check runs in this thread too
                self.on_loop, self.tasks_at_block = symbol, len(asyncio.all_tasks())
        else:
            self.gates[symbol].wait()
        with self.lock:
            self.inside -= 1
            self.ended += 1
        return f"{symbol} at 100"

    async def tick(self) -> None:
        while True:
            self.ticks += 1
            await asyncio.sleep(0.002)

    def watch(self) -> None:
        """In its own thread: waits until all calls are inside, sees whether the loop still turns, lets the calls go."""
        all_inside = self.wait(lambda: self.inside == len(SYMBOLS))
        self.loop_lives = self.wait_for_ticks()
        if all_inside and self.loop_lives:
            for count, symbol in enumerate(reversed(SYMBOLS), start=1):  # the last comes back first
                self.gates[symbol].set()
                self.wait(lambda count=count: self.ended == count)  # type: ignore[misc]
                self.wait_for_ticks()  # so that the loop hears of this one before the next
        for gate in self.gates.values():
            gate.set()

    def wait_for_ticks(self) -> bool:
        ticks = self.ticks
        return self.wait(lambda: self.ticks > ticks + 2)

    def wait(self, condition: Callable[[], object]) -> bool:
        """Whether `condition` came true: within 2 s, while the answer still runs and no call blocks the loop."""
        deadline = time.monotonic() + 2
        while not (met := condition()) and not self.on_loop and not self.over and time.monotonic() < deadline:
            time.sleep(0.002)
        return bool(met)


@exercise("1.2", seconds=10)
async def rescued_endpoint(answer: Callable[[Callable[[str], str], list[str]], Awaitable[list[str]]]) -> str:
    """Rescue a blocking endpoint."""
    vendor = Vendor()
    ticking, watching = asyncio.create_task(vendor.tick()), threading.Thread(target=vendor.watch)
    own_tasks = len(asyncio.all_tasks())
    await settled()
    watching.start()
    try:
        with called(
            f"await quotes(fetch, {SYMBOLS}), whose fetch blocks",
            (RuntimeError, "await it in the loop that runs already"),
        ):
            result = await awaitable(answer(vendor.fetch, list(SYMBOLS)))
    finally:
        vendor.over = True
        watching.join()
        ticking.cancel()
    waiting = vendor.tasks_at_block - own_tasks
    require(
        not vendor.on_loop,
        got=f"fetch({vendor.on_loop!r}) ran in the event loop's own thread"
        + (f", while {waiting} tasks waited for it" if waiting > 1 else ""),
        expected="fetch in another thread",
        look="a task does not make a blocking call concurrent: its thread does" if waiting > 1 else "asyncio.to_thread",
    )
    require(vendor.calls, got=f"{shown(result)}, and no call of fetch", expected="a call for each symbol")
    require(
        vendor.loop_lives,
        got="the event loop stood still while fetch ran",
        expected="a loop that serves others meanwhile",
        look="what waits for the threads must be awaited; pool.map, Future.result() and join() block",
    )
    require(
        vendor.peak > 1,
        got="1 call of fetch at a time",
        expected="4 at once",
        look="await in a loop ends each call before the next starts: start all, then await them together",
    )
    require(vendor.peak == len(SYMBOLS), got=f"{vendor.peak} calls of fetch at once", expected="4 at once")
    right = [f"{symbol} at 100" for symbol in SYMBOLS]
    require(
        result == right or not same_items(result, right),
        got=shown(result),
        expected=shown(right),
        look="the order of symbols, not the order in which they came back: asyncio.gather keeps it",
    )
    require(result == right, got=shown(result), expected=shown(right))
    require(
        sorted(vendor.calls) == SYMBOLS,
        got=f"fetch called with {shown(vendor.calls)}",
        expected="one call for each symbol",
    )
    with called("await quotes(fetch, [])"):
        result = await awaitable(answer(vendor.fetch, []))
    require(result == [], got=shown(result), expected="[]")
    return "4 blocking calls at once, in order, and the loop ran on"


def same_items(one: object, other: list[Any]) -> bool:
    """Whether two lists differ in nothing but order."""
    return isinstance(one, list) and len(one) == len(other) and all(item in other for item in one)


# 1.3 A bounded fan-out

FanOut = Callable[[Callable[[int], Awaitable[int]], Iterable[int], int], Awaitable[list[int | Exception]]]


class Calls:
    """Calls that wait until the check lets them go, so that how many overlap is counted, not timed."""

    def __init__(self, failing: int | None = None) -> None:
        self.failing = failing
        self.error = ConnectionError(f"call {failing} failed")
        self.peak = 0
        self.started: list[int] = []
        self.waiting: dict[int, asyncio.Event] = {}

    async def __call__(self, number: int) -> int:
        self.started.append(number)
        gate = self.waiting[number] = asyncio.Event()
        self.peak = max(self.peak, len(self.waiting))
        try:
            await gate.wait()
        finally:
            del self.waiting[number]
        if number == self.failing:
            raise self.error
        return number * 10

    async def in_flight(self, number: int) -> bool:
        """Whether that many calls come to be in flight, and no more."""
        await settled()  # a call that was let go ends first
        arrived = await eventually(lambda: len(self.waiting) >= number, within=0.5)
        await settled()
        return arrived and len(self.waiting) == number


def plural(number: int) -> str:
    return f"{number} call{'s' * (number != 1)}"


@exercise("1.3", seconds=8)
async def bounded_fan_out(answer: FanOut) -> str:
    """Fan out, but not to everyone at once."""
    for limit in (3, 5):
        await overlap(answer, limit)
    await failure_is_a_value(answer)
    await cancelled(answer)
    with called("await fan_out(call, [], limit=3)"):
        result = await awaitable(answer(Calls(), [], limit=3))  # type: ignore[call-arg]
    require(result == [], got=shown(result), expected="[]")
    return "3 in flight, in order, one failure kept as a value"


def begin(answer: FanOut, call: Calls, limit: int, failing: str = "") -> "asyncio.Future[list[int | Exception]]":
    with called(f"await fan_out(call, range(10), limit={limit}){failing}"):
        return asyncio.ensure_future(awaitable(answer(call, range(10), limit=limit)))  # type: ignore[call-arg]


async def ended(running: "asyncio.Future[Any]", call: Calls, failing: str = "") -> Any:
    """The answer's result; refuses an answer that raises."""
    try:
        return await running
    except BaseException as error:
        await settled()
        left = f", with {plural(len(call.waiting))} still running" if call.waiting else ""
        refuse_for(error, ((ConnectionError, BaseExceptionGroup), failing) if failing else None, left)


async def overlap(answer: FanOut, limit: int) -> None:
    call = Calls()
    running = begin(answer, call, limit)
    full = await call.in_flight(limit)
    if running.done():
        await ended(running, call)
    require(call.started, got="no call started", expected=f"{limit} calls in flight")
    require(
        call.peak <= limit,
        got=f"{plural(call.peak)} in flight",
        expected=f"at most {limit}",
        look="asyncio.Semaphore(limit), held while the call runs",
    )
    look = (
        "await in a loop ends each call before the next starts"
        if len(call.waiting) == 1
        else "limit, which the caller chooses"
    )
    require(full, got=f"{plural(len(call.waiting))} in flight", expected=f"{limit} calls in flight", look=look)
    call.waiting[call.started[1]].set()
    full = await call.in_flight(limit)
    require(
        full,
        got=f"{plural(len(call.waiting))} in flight after 1 of {limit} had ended",
        expected=f"{limit}: the next call starts as soon as one ends",
        look="a batch waits for its slowest call; a semaphore does not",
    )
    result = await finish(running, call)
    require(
        call.peak <= limit,
        got=f"{plural(call.peak)} in flight",
        expected=f"at most {limit}",
        look="asyncio.Semaphore(limit), held while the call runs",
    )
    right = [number * 10 for number in range(10)]
    require(
        result == right or not same_items(result, right),
        got=shown(result),
        expected=shown(right),
        look="the order of numbers, not the order in which the calls ended: asyncio.gather keeps it",
    )
    require(result == right, got=shown(result), expected=shown(right))
    require(
        sorted(call.started) == list(range(10)),
        got=f"calls of {shown(call.started)}",
        expected="one call for each number",
    )


async def finish(running: "asyncio.Future[Any]", call: Calls, failing: str = "") -> Any:
    """Lets the calls end, the last that started first, until the answer is done."""
    while not running.done():
        if call.waiting:
            call.waiting[next(reversed(call.waiting))].set()
            await settled()
        elif not await eventually(lambda: running.done() or call.waiting):
            running.cancel()
            require(False, got="no end, though no call is in flight", expected="a result once every call has ended")
    return await ended(running, call, failing)


async def failure_is_a_value(answer: FanOut) -> None:
    call = Calls(failing=4)
    running = begin(answer, call, 3, ", where call 4 fails")
    result = await finish(
        running, call, "a failure is a value here: return_exceptions=True, or except around each call"
    )
    right = [call.error if number == 4 else number * 10 for number in range(10)]
    require(
        isinstance(result, list) and len(result) == 10,
        got=shown(result),
        expected="10 values, the error among them",
        look="a failure keeps its place",
    )
    require(
        result == right,
        got=f"{shown(result[4])} in place 4",
        expected=shown(call.error),
        look="the exception itself, in its place, tells what failed",
    )


async def cancelled(answer: FanOut) -> None:
    call = Calls()
    running = begin(answer, call, 3, ", cancelled while 3 calls are in flight")
    await call.in_flight(3)
    started = len(call.started)
    running.cancel()
    ends = await eventually(running.done)
    await settled()
    left, more = len(call.waiting), len(call.started) - started
    for gate in list(call.waiting.values()):
        gate.set()
    require(ends or left, got="no end", expected="CancelledError")
    require(
        not left and not more,
        got=f"{plural(left)} still running" + (f", {more} of them started after the cancel" if more else ""),
        expected="no call left running",
        look="a task you create is yours to cancel; asyncio.TaskGroup and gather do it for you",
    )
    require(
        running.cancelled(),
        got="no CancelledError",
        expected="CancelledError",
        look="except CancelledError without raise hides the cancellation from the caller",
    )
