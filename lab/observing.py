"""Counts what really happened inside an app: calls, how many overlapped, and how late its event loop ran."""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

from lab.apps import protocol_of

TICK = 0.005  # seconds between two looks at an event loop


class Observed:
    """An app that counts its own requests. Safe to call from many threads and from more than one event loop.

    Only HTTP requests count; lifespan and websockets pass through untouched. A request ends when the app has
    finished with it: an ASGI app when its call returns (background tasks included), a WSGI app when the server
    closes what it returned.
    """

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app
        self._lock = threading.Lock()
        self._in_flight = 0
        self._since = 0  # how often `reset` was called: a request that began before does not count
        self.reset()

    def reset(self) -> None:
        """Forgets everything counted so far. Requests in flight now will not count."""
        with self._lock:
            self._since += 1
            self._starts = 0
            self._peak = 0
            self._lag = 0.0
            self._clients: dict[object, object] = {}
            self._idents: set[int] = set()
            self._spans: list[tuple[float, float]] = []

    @property
    def starts(self) -> int:
        """Requests that reached the app."""
        return self._starts

    @property
    def ends(self) -> int:
        """Requests that the app has finished with, by an answer or by an exception."""
        return len(self._spans)

    @property
    def peak(self) -> int:
        """The most requests in flight at one time."""
        return self._peak

    @property
    def connections(self) -> int:
        """How many connections the requests came by."""
        return len(self._clients)

    @property
    def threads(self) -> int:
        """Distinct threads that called the app."""
        return len(self._idents)

    @property
    def lag(self) -> float:
        """Seconds by which the event loop was late, at worst, while a request was in flight; 0.0 for WSGI."""
        return self._lag

    @property
    def spans(self) -> list[tuple[float, float]]:
        """(start, end) of each ended request, in `time.perf_counter` seconds, in order of start."""
        with self._lock:
            return sorted(self._spans)

    def _start(self, connection: object, client: object) -> tuple[int, float]:
        started = perf_counter()
        with self._lock:
            self._in_flight += 1
            self._starts += 1
            self._peak = max(self._peak, self._in_flight)
            self._clients[connection] = client
            self._idents.add(threading.get_ident())
            return self._since, started

    def _end(self, start: tuple[int, float]) -> None:
        since, started = start
        with self._lock:
            self._in_flight -= 1
            if since == self._since:
                self._spans.append((started, perf_counter()))

    def _late(self, seconds: float) -> None:
        with self._lock:
            self._lag = max(self._lag, seconds)


class _ObservedASGI(Observed):
    def __init__(self, app: Callable[..., Any]) -> None:
        super().__init__(app)
        self._lookouts: dict[asyncio.AbstractEventLoop, _Lookout] = {}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        loop = asyncio.get_running_loop()
        lookout = self._lookouts.get(loop)
        if lookout is None:
            lookout = self._lookouts[loop] = _Lookout(loop, self._late)
        # Not by its address, which the next connection may have again: uvicorn has one object for each connection.
        start = self._start(id(client), client)
        lookout.requests += 1
        try:
            await self.app(scope, receive, send)
        finally:
            lookout.requests -= 1
            if not lookout.requests:
                del self._lookouts[loop]
                lookout.close()
            self._end(start)


class _Lookout:
    """Ticks on a loop while it has requests. A tick that comes late tells how long the loop was held."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Callable[[float], None]) -> None:
        self.requests = 0
        self._loop = loop
        self._report = report
        self._arm()

    def _arm(self) -> None:
        self._due = perf_counter() + TICK  # not loop.time(): uvloop's stands still while a callback runs
        self._tick = self._loop.call_later(TICK, self._on_tick)

    def _on_tick(self) -> None:
        self._report(perf_counter() - self._due)
        self._arm()

    def close(self) -> None:
        """Takes a last look, because a request that held the loop from start to end left no tick the time to run."""
        self._tick.cancel()
        self._report(perf_counter() - self._due)


class _ObservedWSGI(Observed):
    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start = self._start((environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")), None)
        try:
            body = self.app(environ, start_response)
        except BaseException:
            self._end(start)
            raise
        return (_SizedBody if hasattr(body, "__len__") else _Body)(body, lambda: self._end(start))


class _Body:
    """A WSGI response that tells when it is closed."""

    def __init__(self, body: Any, on_close: Callable[[], None]) -> None:
        self._body = body
        self._on_close: Callable[[], None] | None = on_close

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        on_close, self._on_close = self._on_close, None
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            if on_close:
                on_close()


class _SizedBody(_Body):
    """Keeps the length: a server sets Content-Length itself when the response is one chunk."""

    def __len__(self) -> int:
        return len(self._body)


def observe(app: Callable[..., Any]) -> Observed:
    """Wraps an ASGI or a WSGI app in one of the same protocol that counts. Raises LabError for anything else."""
    return (_ObservedASGI if protocol_of(app) == "asgi" else _ObservedWSGI)(app)
