"""The checks of chapter 04."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from lab.checks.middleware import Request
from lab.judging import awaitable, called, eventually, exercise, require, settled, shown, told

if TYPE_CHECKING:
    import httpx

# 4.1 A client for the whole app


class Made:
    """Makes clients of an upstream in this process, and remembers them."""

    def __init__(self) -> None:
        self.clients: list[httpx.AsyncClient] = []
        self.asked = 0

    def __call__(self) -> httpx.AsyncClient:
        import httpx

        self.clients.append(httpx.AsyncClient(transport=httpx.MockTransport(self.answer)))
        return self.clients[-1]

    async def answer(self, request: httpx.Request) -> httpx.Response:
        import httpx

        self.asked += 1
        await asyncio.sleep(0)
        return httpx.Response(200, json={"price": 42})


class Lifespan:
    """A server's side of a lifespan: `start` and `stop` are awaited from the check's own task."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.messages: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.sent: list[str] = []
        self.trouble = ""
        self.state: dict[str, Any] = {}

    async def start(self) -> None:
        self.running = asyncio.ensure_future(awaitable(self.app(self.scope, self.messages.get, self.send)))
        await self.tell("startup")

    async def stop(self) -> None:
        await self.tell("shutdown")
        await self.running

    @property
    def scope(self) -> dict[str, Any]:
        return {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}

    async def tell(self, what: str) -> None:
        self.messages.put_nowait({"type": f"lifespan.{what}"})
        complete = f"lifespan.{what}.complete"
        await eventually(lambda: self.running.done() or complete in self.sent or self.trouble)
        if self.running.done() and self.running.exception():
            await self.running
        require(
            complete in self.sent,
            got=f"the {what} failed" + (f": {self.trouble}" if self.trouble else ""),
            expected=f"the {what} to complete",
        )

    async def send(self, message: dict[str, str]) -> None:
        self.sent.append(message["type"])
        lines = message.get("message", "").strip().splitlines()
        self.trouble = lines[-1] if lines else self.trouble

    async def ask(self) -> Request:
        request = Request("/")
        request.scope["state"] = dict(self.state)
        return await request.ask(self.app)


def clients(number: int) -> str:
    return f"{number} client{'s' * (number != 1)}"


@exercise("4.1", seconds=10)
async def client_in_lifespan(answer: Callable[[Callable[[], Any]], Any]) -> str:
    """One client for the whole app."""
    made = Made()
    with called("create_app(make_client)"):
        app = answer(made)
    require(callable(app), got=shown(app), expected="an ASGI app")
    require(
        not made.clients,
        got=f"{clients(len(made.clients))} made before the app was started",
        expected="none: an import makes nothing that must be closed",
        look="what runs before `yield` in lifespan runs when the server starts, in its loop",
    )
    for time_ in ("", ", for the second time"):  # as tests do, and reloaders
        before = len(made.clients)
        lifespan = Lifespan(app)
        with called(f"the app's start{time_}"):
            await lifespan.start()
        started = len(made.clients) - before
        if not started:
            await made_too_late(made, lifespan)
        require(started == 1, got=f"{clients(started)} made", expected="1 client for all that the app asks")
        client = made.clients[-1]
        require(
            not client.is_closed,
            got="the client is closed before the first request",
            expected="an open client, as long as the app runs",
            look="`yield` inside the `async with` block",
        )
        with called(f"6 requests, 3 at a time{time_}"):
            responses = []
            for _ in range(2):
                responses += await asyncio.gather(*[lifespan.ask() for _ in range(3)])
        require(
            len(made.clients) == before + 1,
            got=f"{clients(len(made.clients) - before - 1)} more for 6 requests",
            expected="the client of the start for all of them",
            look="a dependency runs for each request: let it return the client that is there",
        )
        statuses = [response.status for response in responses]
        bodies = {response.body for response in responses}
        require(
            statuses == [200] * 6 and bodies == {b'{"price":42}'},
            got=f"statuses {shown(statuses)}, bodies {shown(sorted(bodies))}",
            expected='200 and {"price":42} for each',
        )
        require(
            not client.is_closed,
            got="the client was closed by a request",
            expected="an open client, as long as the app runs",
            look="`async with client` closes it at the end of the block",
        )
        with called(f"the app's end{time_}"):
            await lifespan.stop()
        require(
            client.is_closed,
            got="the client is still open",
            expected="a closed client",
            look="what runs after `yield` in lifespan; or `async with` around it",
        )
    require(made.asked == 12, got=f"{made.asked} calls of the upstream", expected="12: one for each request")
    return "1 client for 6 requests, made at the start and closed at the end, twice"


async def made_too_late(made: Made, lifespan: Lifespan) -> None:
    """Refuses an answer whose client comes with the requests."""
    before = len(made.clients)
    with called("6 requests, one after the other"):
        for _ in range(6):
            await lifespan.ask()
    number = len(made.clients) - before
    require(
        False,
        got=f"none made by the start, {clients(number)} by 6 requests",
        expected="1 client, made by the start",
        look="a dependency runs for each request: let it return the client that is there"
        if number == 6
        else "what the first request makes is made twice when two come at once",
    )


# 4.2 A status for every failure

BOUND = 1.0  # seconds that the answer may take, as the exercise says
SLACK = 2.0  # more, for a busy machine

Call = Callable[[Any, str, str], Awaitable[Any]]


class Upstream:
    """A server that behaves as it is told, and counts the requests that reach it."""

    def __init__(self, behaviour: str) -> None:
        self.behaviour = behaviour
        self.requests = 0
        self.methods: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                self.methods.append(head.partition(b" ")[0].decode())
                if self.behaviour == "fine":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                    continue
                if self.behaviour == "drips":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                    while not writer.is_closing():
                        writer.write(b".")
                        await writer.drain()
                        await asyncio.sleep(0.05)
                elif self.behaviour == "sends garbage":
                    writer.write(b"what do you want?\r\n\r\n")
                elif self.behaviour == "half-closes":
                    writer.write_eof()
                await reader.read()  # says nothing more
        writer.close()


@asynccontextmanager
async def listening(behaviour: str) -> AsyncIterator[tuple[Upstream, str]]:
    upstream = Upstream(behaviour)
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    if behaviour == "refuses":
        server.close()
        await server.wait_closed()
    try:
        yield upstream, url
    finally:
        server.close()


@asynccontextmanager
async def two_connections() -> AsyncIterator[httpx.AsyncClient]:
    import httpx

    limits = httpx.Limits(max_connections=2)
    async with httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(0.4, pool=0.2)) as client:
        yield client


WAYS = {
    "is silent": (504, "ReadTimeout is a TimeoutException: it was there, and too slow"),
    "drips": (504, "httpx's timeouts bound each read: asyncio.timeout(1) bounds the whole call, with a TimeoutError"),
    "refuses": (502, "ConnectError is a TransportError"),
    "sends garbage": (502, "RemoteProtocolError is a TransportError"),
    "half-closes": (502, "RemoteProtocolError is a TransportError"),
}


@exercise("4.2", seconds=45)
async def statuses(answer: Call) -> str:
    """A status for every failure."""
    async with listening("fine") as (_, url), two_connections() as client:
        with called('call(client, "GET", url), whose upstream answers'):
            response = await awaitable(answer(client, "GET", url))
    require(
        getattr(response, "text", None) == "hello",
        got=shown(response),
        expected="the upstream's response, which says hello",
    )
    for behaviour, (status, look) in WAYS.items():
        for method in ("GET",) if behaviour == "drips" else ("GET", "POST"):
            await one_way(answer, behaviour, method, status, look)
    await exhausted(answer)
    await cancelled(answer)
    return "200, 502, 503 and 504, each within the second, and every POST sent once"


async def one_way(answer: Call, behaviour: str, method: str, status: int, look: str) -> None:
    async with listening(behaviour) as (upstream, url), listening("fine") as (_, fine), two_connections() as client:
        with called(f'call(client, "{method}", url), whose upstream {behaviour}'):
            await refused_with(answer, client, method, url, status, look)
        sent = upstream.requests
        if method == "POST":
            require(
                sent <= 1,
                got=f"{sent} POSTs reached the upstream",
                expected="1 at most: it may have done what the first one asked for",
                look="retry what is idempotent, GET or PUT, and nothing else",
            )
        else:
            require(sent <= 3, got=f"{sent} GETs reached the upstream", expected="3 attempts at most")
        with called("two calls of an upstream that answers, after the failure"):
            again = await asyncio.gather(*[awaitable(answer(client, "GET", fine)) for _ in range(2)])
        require(
            [getattr(response, "text", None) for response in again] == ["hello"] * 2,
            got=shown(again),
            expected="the connections given back to the pool",
        )


async def refused_with(
    answer: Call, client: httpx.AsyncClient, method: str, url: str, status: int, look: str
) -> BaseException:
    """What the answer raises, which must be an HTTPException of that status, in time."""
    from starlette.exceptions import HTTPException

    running = asyncio.ensure_future(awaitable(answer(client, method, url)))
    if not await eventually(running.done, within=BOUND + SLACK):
        running.cancel()
        await eventually(running.done)
        require(
            False,
            got=f"no end after {BOUND + SLACK:g} s",
            expected=f"a {status} within {BOUND:g} s",
            look="asyncio.timeout(1) around everything: one call, all its reads, and all attempts",
        )
    error = None if running.cancelled() else running.exception()
    if running.cancelled() or error is None:
        got = "CancelledError" if running.cancelled() else shown(running.result())
        require(False, got=got, expected=f"HTTPException {status}", look=look)
    assert error
    if not isinstance(error, HTTPException):
        require(False, got=f"{told(error)}: a 500", expected=f"HTTPException {status}", look=look)
        raise error
    require(
        error.status_code == status,
        got=f"HTTPException {error.status_code}",
        expected=f"HTTPException {status}",
        look=look,
    )
    return error


async def exhausted(answer: Call) -> None:
    async with listening("is silent") as (_, url), two_connections() as client:
        holding = [asyncio.ensure_future(client.get(url, timeout=30)) for _ in range(2)]
        await settled()
        try:
            with called('call(client, "GET", url), while both connections of the pool are in use'):
                look = "PoolTimeout is a TimeoutException too: catch it first. We are busy, not the upstream"
                error: Any = await refused_with(answer, client, "GET", url, 503, look)
            headers = {name.lower(): value for name, value in (error.headers or {}).items()}
            after = headers.get("retry-after", "")
            require(
                after.isdigit(),
                got=f"Retry-After: {after}" if after else "503 without Retry-After",
                expected="Retry-After, in whole seconds",
                look='HTTPException(503, headers={"Retry-After": "1"})',
            )
        finally:
            for one in holding:
                one.cancel()
            await asyncio.gather(*holding, return_exceptions=True)


async def cancelled(answer: Call) -> None:
    async with listening("is silent") as (upstream, url), two_connections() as client:
        with called('call(client, "GET", url), cancelled while it waits'):
            running = asyncio.ensure_future(awaitable(answer(client, "GET", url)))
            await eventually(lambda: upstream.requests or running.done())
            running.cancel()
            await eventually(running.done)
        require(
            running.cancelled(),
            got="no CancelledError" if running.done() else "no end",
            expected="CancelledError",
            look="except Exception leaves CancelledError alone; BaseException and a bare except do not",
        )


# 4.3 A streaming proxy


class Stream:
    """An upstream's body. Its parts come when the check lets them; it is closed by aclose(), and by its own failure."""

    def __init__(self, parts: list[bytes], breaks: bool) -> None:
        self.parts, self.breaks = parts, breaks
        self.gate = asyncio.Event()
        self.read = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        import httpx

        for number, part in enumerate(self.parts):
            if number:
                await self.gate.wait()
            self.read += 1
            yield part
        if self.breaks:
            self.closed = True
            raise httpx.ReadError("the stream broke")

    async def aclose(self) -> None:
        self.closed = True


class Streaming:
    """An upstream in this process, with the proxy under test in front of it."""

    def __init__(
        self, answer: Callable[[Any, str], Any], status: int = 200, *, breaks: bool = False, held: bool = True
    ) -> None:
        import httpx

        class ByteStream(Stream, httpx.AsyncByteStream):
            pass

        class Transport(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                stream = ByteStream([b"one ", b"two ", b"three"], breaks)
                streams.append(stream)
                if not held:
                    stream.gate.set()
                headers = {"content-type": "text/x-ticks", "connection": "keep-alive", "x-upstream": "1"}
                return httpx.Response(status, headers=headers, stream=stream)

        self.streams: list[Stream] = []
        streams = self.streams
        self.client = httpx.AsyncClient(transport=Transport())
        with called("create_proxy(client, url)"):
            self.app = answer(self.client, "http://upstream/ticks")
        require(callable(self.app), got=shown(self.app), expected="an ASGI app")
        self.request = Request("/")
        self.leaving = asyncio.Event()
        self.request.receive = self.receive  # type: ignore[method-assign]
        self.begun = False

    async def receive(self) -> dict[str, object]:
        if not self.begun:
            self.begun = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaving.wait()
        return {"type": "http.disconnect"}

    def begin(self) -> asyncio.Future[None]:
        return self.request.begin(self.app)

    @property
    def body(self) -> bytes:
        return self.request.body

    async def parts(self, number: int, running: asyncio.Future[None]) -> None:
        """Waits until that many parts have reached the client."""
        wanted = [b"one ", b"two ", b"three"][:number]
        await eventually(lambda: running.done() or self.body == b"".join(wanted))
        if running.done():
            await running

    def require_closed(self, after: str) -> None:
        require(self.streams, got="no call of the upstream", expected="one GET of its url")
        require(
            all(stream.closed for stream in self.streams),
            got=f"the upstream's response is still open after {after}: its connection is lost to the pool",
            expected="response.aclose(), however the response ends",
            look=CLOSE,
        )


CLOSE = "`finally` in the generator that yields the parts, or in a yield dependency"


@exercise("4.3", seconds=20)
async def streaming_proxy(answer: Callable[[Any, str], Any]) -> str:
    """A streaming proxy that leaks nothing."""
    await whole(answer)
    await leaves_midway(answer)
    await breaks_midway(answer)
    for status in (404, 500):
        proxy = Streaming(answer, status, held=False)
        with called(f"GET /, whose upstream answers {status}"):
            await proxy.request.end(proxy.begin())
        proxy.require_closed(f"a {status}")
        require(
            proxy.request.status in (status, 502),
            got=f"status {proxy.request.status}",
            expected=f"{status}, as the upstream said, or 502",
        )
    return "parts as they come, and nothing left open: at the end, midway, after a failure"


async def whole(answer: Callable[[Any, str], Any]) -> None:
    import httpx

    proxy = Streaming(answer)
    look = "`return` inside `async with client.stream(...)` closes the stream before it is read"
    with called("GET /, whose upstream sends one part, and waits", (httpx.StreamError, look)):
        running = proxy.begin()
        await proxy.parts(1, running)
        [*streams] = proxy.streams
        early = bool(streams and streams[0].closed and streams[0].read < 3)
        got = f"{shown(proxy.body)} at the client"
        for stream in streams:
            stream.gate.set()
        if not proxy.body:
            await eventually(running.done)
            late = proxy.body
            require(
                not late,
                got=f"nothing at the client until the upstream had ended, then {shown(late)}",
                expected="b'one ' at the client while the upstream still sends",
                look="client.get reads the whole body; client.send(request, stream=True) does not",
            )
        require(
            proxy.body and not early,
            got=got + (", and the upstream closed" if early else ""),
            expected="b'one ' at the client while the upstream still sends",
            look=look if early else "",
        )
        await proxy.request.end(running)
    require(proxy.body == b"one two three", got=shown(proxy.body), expected="b'one two three'")
    require(proxy.request.status == 200, got=f"status {proxy.request.status}", expected="status 200")
    kinds = proxy.request.values(b"content-type")
    require(
        len(kinds) == 1 and kinds[0].startswith("text/x-ticks"),
        got=f"content-type {', '.join(kinds) or 'none'}",
        expected="content-type text/x-ticks, as the upstream said",
    )
    require(
        not proxy.request.values(b"connection"),
        got="the upstream's header connection passed on",
        expected="no header that is about the upstream's connection",
        look="pass on the headers that you name: content-type",
    )
    proxy.require_closed("the last part")


async def leaves_midway(answer: Callable[[Any, str], Any]) -> None:
    for number in (1, 2):
        proxy = Streaming(answer)
        with called("GET /, whose client leaves " + ("after the first part" if number == 1 else "while a part comes")):
            running = proxy.begin()
            await proxy.parts(1, running)
            proxy.leaving.set()
            if number == 2:
                for stream in proxy.streams:
                    stream.gate.set()
            await proxy.request.end(running)
        await settled()
        proxy.require_closed("the client left midway")


async def breaks_midway(answer: Callable[[Any, str], Any]) -> None:
    proxy = Streaming(answer, breaks=True)
    with called("GET /, whose upstream breaks off after three parts"):
        running = proxy.begin()
        await proxy.parts(1, running)
        for stream in proxy.streams:
            stream.gate.set()
        await eventually(running.done)
    require(running.done(), got="no end", expected="an end")
    error = None if running.cancelled() else running.exception()
    ended = bool(proxy.request.sent) and not proxy.request.sent[-1].get("more_body", False)
    require(
        error is not None or not ended,
        got="a response that ends as if it were whole",
        expected="an exception, so that the server cuts the connection",
        look="let httpx.ReadError through: the client must be able to tell half from whole",
    )
    proxy.require_closed("the upstream broke off")
