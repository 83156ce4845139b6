"""One real request to a served app, and the order in which everything happened.

Nothing of FastAPI or Starlette is replaced. What is seen is seen from where anybody may look: by the client; between
the server and the app, where ASGI's messages pass; in the scope, into which the router writes its route; in FastAPI's
own OpenTelemetry spans (`fastapi.telemetry`); and in what the app says by itself.
"""

import contextlib
import json as jsons
import re
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from html import escape
from http.client import HTTPConnection, HTTPException, IncompleteRead
from inspect import signature
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from lab.charts import Figure, waterfall
from lab.errors import LabError
from lab.serving import serve

SECONDS = 10  # that the answer may take, and after it the end of the app's call
LEFT = '<td style="text-align: left">'  # JupyterLab sets tables right
SEEN_BY = {"client:": "the client", "ASGI": "ASGI", "span": "FastAPI's spans", "route": "the router"}
BEGINS, LAST_BYTE = "ASGI call begins", "client: last byte"
SEND = "ASGI send http.response."
OPENS = re.compile("(.+) (begins|enters|in)")
CLOSES = re.compile("(.+?) (ends|exits|out)(: .+)?")

Report = Callable[[str], None]
Mark = tuple[str, float]  # what happened, and when, in `time.perf_counter` seconds


class TraceError(LabError):
    """A request without an answer, or a call of the app that does not end."""


class Trace:
    """What happened to one request. Its text is the list of events, without times: the same in every run.

    `status` and `body` (text) are those of the answer. `events` are names, in the order of cause and effect: what the
    app's call did stands in the order in which it was done. The client runs beside the app, so its last two events
    stand after what they come from: its first byte after the response's start, its last byte after the last part of
    the body, "client: connection lost" at the end. Whether a background task had begun by then is chance: `waterfall`
    shows when it was.
    """

    def __init__(self, asked: str, status: int, body: str, marks: Sequence[Mark]) -> None:
        self.asked, self.status, self.body = asked, status, body
        self.events = [name for name, _ in marks]
        self._marks = marks

    def beside(self, textbook: Mapping[str, str]) -> "Beside":
        """The events, each with its stage and that stage's number in `textbook`, {stage: event}.

        Raises TraceError for a stage whose event did not happen.
        """
        numbered = {}
        for number, (stage, event) in enumerate(textbook.items(), 1):
            if event not in self.events:
                raise TraceError(f'{stage}: "{event}" did not happen in {self.asked}')
            numbered[event] = f"{number} {stage}"
        return Beside([(numbered.pop(event, ""), event) for event in self.events])

    def waterfall(self, *, caption: str) -> Figure:
        """A row an event, at its real time since the request was sent: a bar from in to out, a dot for a moment."""
        rows = [(name, _seen_by(name), start, end) for name, start, end in _rows(self._marks)]
        return waterfall(
            rows, groups=[*SEEN_BY.values(), "the app itself"], title=f"{self.asked}: {self.status}", caption=caption
        )

    def __repr__(self) -> str:
        return "\n".join([f"{self.asked}: {self.status}", *self.events])


class Beside:
    """Two columns: what the textbook calls an event, if it does, and the event."""

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        width = max(len(stage) for stage, _ in self.rows)
        return "\n".join(f"{stage:{width}}  {event}" for stage, event in self.rows)

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr>{LEFT}<b>{escape(stage)}</b></td>{LEFT}{escape(event)}</td></tr>" for stage, event in self.rows
        )
        return f"<table><thead><tr><th>textbook</th><th>traced</th></tr></thead>{cells}</table>"


def trace(
    create_app: Callable[..., Any],
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    json: object = None,
    content: bytes | str | None = None,
    layers: Sequence[str] = (),
) -> Trace:
    """Serves the app of `create_app`, sends it one request, and waits until the app's call has ended.

    `create_app(report)` makes a FastAPI app that calls `report("name")` where it wants to be seen; "name in" and
    "name out", or "enters" and "exits", are one bar of the waterfall. `create_app(report, telemetry)` is seen in
    FastAPI's spans as well, when it makes a `FastAPI(telemetry=telemetry)`. `layers` names pure ASGI middlewares to
    put around the app, the outermost first. `json` is sent with its Content-Type, `content` as it is.

    Raises TraceError when no answer comes within 10 s, or when the app's call goes on for 10 s after it.
    """
    recorder = _Recorder()
    # Whatever the environment or the request says about sampling, and with nothing left to do when the kernel ends.
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(recorder)
    spans = {"telemetry": {"tracer_provider": provider}} if "telemetry" in signature(create_app).parameters else {}
    app = create_app(recorder.report, **spans)
    for name in reversed(layers):  # the last added is the outermost
        app.add_middleware(_Layer, name=name, report=recorder.report)
    headers = dict(headers or {})
    if json is not None:
        content = jsons.dumps(json)
        headers.setdefault("Content-Type", "application/json")
    body = content.encode() if isinstance(content, str) else content
    with serve(recorder.around(app)) as server:
        status, answer, client = _ask(server.url, method, target, headers, body)
        if BEGINS not in [name for name, _ in recorder.marks]:
            raise TraceError(f"{method} {target} is no HTTP request: the server answered {status} without the app")
        if not recorder.ended.wait(SECONDS):
            raise TraceError(f"{method} {target}: the app's call goes on {SECONDS:g} s after its answer")
    return Trace(f"{method} {target}", status, answer, _in_causal_order(recorder.marks, client))


def _ask(
    url: str, method: str, target: str, headers: Mapping[str, str], body: bytes | None
) -> tuple[int, str, list[Mark]]:
    """Status, text, and what the client saw: the request sent, the first byte, and the last or none."""
    with contextlib.closing(HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)) as connection:
        try:
            connection.connect()
            marks = [("client: request sent", perf_counter())]
            with contextlib.suppress(ConnectionError):  # a server may answer, and close, before it has read all
                connection.request(method, target, body, headers)
            connection.sock.recv(1, socket.MSG_PEEK)
            marks.append(("client: first byte", perf_counter()))
            response = connection.getresponse()
            try:
                answer, end = response.read(), LAST_BYTE
            except IncompleteRead as error:
                answer, end = error.partial, "client: connection lost"
            marks.append((end, perf_counter()))
            return response.status, answer.decode(errors="replace"), marks
        except (OSError, HTTPException) as error:
            raise TraceError(f"{method} {target} got no answer: {type(error).__name__}") from None


def _in_causal_order(marks: Sequence[Mark], client: Sequence[Mark]) -> list[Mark]:
    """The app's marks, which were made in order, and the client's, each after what it comes from."""
    sent, first, last = client
    starts = [place for place, (name, _) in enumerate(marks, 1) if name.startswith(f"{SEND}start")]
    bodies = [place for place, (name, _) in enumerate(marks, 1) if name == f"{SEND}body"]
    ordered = list(marks)
    ordered.insert(bodies[-1] if bodies and last[0] == LAST_BYTE else len(marks), last)
    ordered.insert(starts[0] if starts else len(marks), first)
    return [sent, *ordered]


def _rows(marks: Sequence[Mark]) -> list[tuple[str, float, float]]:
    """(name, start, end), in seconds since the first mark, in order of start. A moment ends when it starts."""
    origin = marks[0][1]
    rows: list[tuple[str, float, float]] = []
    opened: dict[str, int] = {}  # a name, and its row
    for name, at in marks:
        closes = CLOSES.fullmatch(name)
        # The beginning of the name will do: a request's span gets its route while it is open.
        mine = next((begun for begun in reversed(opened) if closes and closes[1].startswith(begun)), None)
        if closes and mine:
            row = opened.pop(mine)
            rows[row] = (closes[1], rows[row][1], at - origin)
            continue
        if opens := OPENS.fullmatch(name):
            opened[opens[1]] = len(rows)
        rows.append((name, at - origin, at - origin))
    return rows


def _seen_by(name: str) -> str:
    return SEEN_BY.get(name.partition(" ")[0], "the app itself")


class _Recorder(SpanProcessor):
    """Marks what happens when it happens, in whatever thread."""

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.ended = threading.Event()

    def report(self, name: str) -> None:
        if not self.ended.is_set():  # what an app says as it stops is not of the request
            self.marks.append((name, perf_counter()))

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.report(f"span {span.name} begins")

    def on_end(self, span: ReadableSpan) -> None:
        self.report(f"span {span.name} ends")

    def around(self, app: Any) -> Any:
        """The app as its server sees it."""

        async def recorded(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return

            async def recorded_receive() -> Any:
                message = await receive()
                name = f"ASGI receive {message['type']}"
                if self.marks[-1][0] != name:  # in how many pieces a body arrives is chance
                    self.report(name)
                return message

            async def recorded_send(message: Any) -> None:
                status = f" {message['status']}" if "status" in message else ""
                self.report(f"ASGI send {message['type']}{status}")
                await send(message)

            self.marks.clear()  # of what the app said as it started
            self.report(BEGINS)
            try:
                await app(_Scope(scope, self.report), recorded_receive, recorded_send)
            except BaseException as error:
                self.report(f"ASGI call ends: {type(error).__name__}")
                raise
            else:
                self.report("ASGI call ends")
            finally:
                self.ended.set()

        return recorded


class _Scope(dict[str, Any]):
    """A request's scope that tells when the router writes its route into it."""

    def __init__(self, scope: Mapping[str, Any], report: Report) -> None:
        super().__init__(scope)
        self._report = report

    def update(self, *entries: Any, **more: Any) -> None:
        super().update(*entries, **more)
        if "route" in dict(*entries, **more):
            self._report(f"route {self['route'].path} matched")


class _Layer:
    """Pure ASGI middleware that says when a request goes in, and when the call it wraps is over."""

    def __init__(self, app: Any, name: str, report: Report) -> None:
        self.app, self.name, self.report = app, name, report

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        self.report(f"{self.name} in")
        try:
            await self.app(scope, receive, send)
        finally:
            self.report(f"{self.name} out")
