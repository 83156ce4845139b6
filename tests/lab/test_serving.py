import asyncio
import functools
import gc
import logging
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from socket import create_connection, socket
from typing import Any

import httpx
import psutil
import pytest
import trustme
from fastapi import FastAPI

import lab.serving
from lab.observing import observe
from lab.serving import ServeError, Server, serve

ROOT = Path(__file__).parents[2]

app = FastAPI()


@app.get("/")
async def home() -> str:
    return "asgi"


@app.get("/def")
def in_a_thread() -> str:
    return threading.current_thread().name


@app.get("/error")
async def error() -> None:
    raise ValueError("a handler's mistake")


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"wsgi"]


def refusal(served: Any, **arguments: Any) -> str:
    """The line that `serve` refuses with: one line, within a second, as a notebook shows it."""
    began = time.perf_counter()
    with pytest.raises(ServeError) as caught:
        serve(served, **arguments)
    assert time.perf_counter() - began < 1
    assert caught.value._render_traceback_() == [f"ServeError: {caught.value}"]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def eventually(holds: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_refused(url: str) -> bool:
    try:
        create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=1).close()
    except OSError:
        return True
    return False


def descriptors() -> int:
    return psutil.Process().num_fds() if sys.platform != "win32" else 0


class Asking(threading.Thread):
    """A request made meanwhile. `status` is its answer's, None if it was cut."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.status: int | None = None
        self.start()

    def run(self) -> None:
        try:
            self.status = httpx.get(self.url, timeout=20).status_code
        except httpx.HTTPError:
            self.status = None


class Holding:
    """An app of either protocol that keeps its request until `release` is set."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.release = threading.Event()

    async def awaiting(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        self.entered.set()
        while not self.release.is_set():  # noqa: ASYNC110 another thread sets it
            await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    async def blocking(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        self.entered.set()
        self.release.wait(30)

    def wsgi(self, environ: Any, start_response: Any) -> list[bytes]:
        self.entered.set()
        self.release.wait(30)
        return wsgi(environ, start_response)


@pytest.fixture
def holding() -> Iterator[Holding]:
    held = Holding()
    threads = threading.active_count()
    yield held
    held.release.set()
    assert eventually(lambda: threading.active_count() <= threads)


# Which server


@pytest.mark.parametrize(
    ("served", "header"),
    [
        (app, "uvicorn"),
        (observe(app), "uvicorn"),
        (app.__call__, "uvicorn"),
        (functools.partial(lambda extra, environ, start_response: wsgi(environ, start_response), "extra"), "waitress"),
        (wsgi, "waitress"),
        (observe(wsgi), "waitress"),
    ],
    ids=["instance", "observed asgi", "method", "partial", "function", "observed wsgi"],
)
def test_an_app_is_served_by_the_server_of_its_protocol(served: Any, header: str) -> None:
    with serve(served) as server:
        response = httpx.get(server.url)
        assert response.text in ('"asgi"', "wsgi")
        assert response.headers["server"] == header
        assert "date" in response.headers
        assert server.url == f"http://127.0.0.1:{httpx.URL(server.url).port}"
        assert repr(server) == "<Server running>"
    assert repr(server) == "<Server stopped>"
    assert is_refused(server.url)


def test_a_decorated_app_that_takes_any_arguments_is_not_called_by_mistake() -> None:
    calls = 0

    @functools.wraps(app.__call__)
    async def counted(*arguments: Any) -> None:
        nonlocal calls
        calls += 1
        await app(*arguments)

    with serve(counted) as server:
        assert httpx.get(server.url).status_code == 200
    assert calls == 2  # lifespan and the request


def test_an_import_string_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "served_by_name.py").write_text(
        "class Parts:\n    @staticmethod\n    def app(environ, start_response):\n"
        "        start_response('200 OK', [])\n        return [b'imported']\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with serve("served_by_name:Parts.app") as server:
        assert httpx.get(server.url).text == "imported"


def test_the_date_goes_on() -> None:
    with serve(app) as server, httpx.Client() as client:
        first = client.get(server.url).headers["date"]
        assert eventually(lambda: client.get(server.url).headers["date"] != first)


def test_a_wsgi_server_has_four_threads_or_as_many_as_asked() -> None:
    def waitress_threads() -> int:
        return sum(thread.name.startswith("waitress") for thread in threading.enumerate())

    with serve(wsgi):
        assert waitress_threads() == 4
    with serve(wsgi, threads=11):
        assert waitress_threads() == 11
    assert eventually(lambda: waitress_threads() == 0)


def test_waitress_lets_more_than_its_hundred_connections_in() -> None:
    with serve(observe(wsgi), threads=1) as server:
        address = ("127.0.0.1", httpx.URL(server.url).port or 0)
        idle = [create_connection(address) for _ in range(150)]
        assert httpx.get(server.url, timeout=10).text == "wsgi"
        for connection in idle:
            connection.close()
        assert server.log == []


def test_ipv6_loopback_and_localhost_are_served() -> None:
    with serve(app, host="localhost") as server:
        assert httpx.get(server.url).status_code == 200
    try:
        with socket(family=23 if sys.platform == "win32" else 10 if sys.platform == "linux" else 30) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with serve(app, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert httpx.get(server.url).status_code == 200


# Mistakes


async def two_parameters(scope: Any, receive: Any) -> None: ...
def three_parameters(scope: Any, receive: Any, send: Any) -> None: ...
def one_parameter(environ: Any) -> None: ...
def any_parameters(*arguments: Any) -> None: ...


@pytest.mark.parametrize(
    ("served", "line"),
    [
        (42, "int is not an app, it cannot be called"),
        (None, "NoneType is not an app"),
        (FastAPI, "FastAPI is a class: pass an instance"),
        (two_parameters, "two_parameters takes the wrong number of parameters"),
        (one_parameter, "one_parameter takes the wrong number of parameters"),
        (three_parameters, "three_parameters takes three parameters but is not async"),
        (any_parameters, "any_parameters takes any arguments"),
        ("nothing", 'write "module:attribute"'),
        ("no_such_module:app", "No module named 'no_such_module'"),
        ("lab.serving:nothing", 'lab.serving has no attribute "nothing"'),
    ],
)
def test_what_is_no_app_is_one_readable_line(served: Any, line: str) -> None:
    assert line in refusal(served)


def test_an_import_that_exits_is_one_readable_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "exits_when_imported.py").write_text("import sys; sys.exit('not today')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "SystemExit: not today" in refusal("exits_when_imported:app")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org", ""])
def test_a_host_that_is_not_loopback_is_one_readable_line(host: str) -> None:
    assert f'host "{host}" is not this machine alone' in refusal(app, host=host)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_out_of_range_is_one_readable_line(port: int) -> None:
    assert f"port {port} is out of range" in refusal(app, port=port)


@pytest.mark.parametrize("served", [app, wsgi], ids=["asgi", "wsgi"])
def test_a_taken_port_is_one_readable_line(served: Any) -> None:
    with socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"port {port} is taken: stop the program that uses it" in refusal(served, port=port)


def test_threads_are_refused_where_they_mean_nothing() -> None:
    assert "threads= is for WSGI apps" in refusal(app, threads=4)
    assert "at least one thread" in refusal(wsgi, threads=0)


def test_observed_of_an_app_that_is_not_is_one_readable_line() -> None:
    with serve(app) as server, pytest.raises(ServeError, match=r"serve\(observe\(app\)\)"):
        _ = server.observed


# Lifespan


def with_lifespan(up: Callable[[], Any], down: Callable[[], Any] = lambda: None) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if waits := up():
            await waits
        yield
        if waits := down():
            await waits

    return FastAPI(lifespan=lifespan)


def failing() -> None:
    raise RuntimeError("the database is away\nand more that is not for the cell")


def test_a_lifespan_runs_up_and_down() -> None:
    events: list[str] = []
    with serve(with_lifespan(lambda: events.append("up"), lambda: events.append("down"))):
        assert events == ["up"]
    assert events == ["up", "down"]


def test_a_lifespan_that_raises_is_one_readable_line_and_leaves_nothing() -> None:
    threads, files = threading.active_count(), descriptors()
    line = refusal(with_lifespan(failing))
    assert line == "the app's lifespan failed to start: RuntimeError: the database is away"
    assert threading.active_count() == threads
    assert descriptors() == files


def test_a_lifespan_that_reports_failure_itself_is_one_readable_line() -> None:
    async def reporting(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no room"})

    assert refusal(reporting) == "the app's lifespan failed to start: no room"


def test_a_lifespan_that_exits_is_one_readable_line() -> None:
    assert "SystemExit: 3" in refusal(with_lifespan(lambda: sys.exit(3)))


def test_a_lifespan_that_never_starts_is_one_readable_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.serving, "STARTING", 0.2)
    assert refusal(with_lifespan(lambda: asyncio.sleep(60))) == "the app's lifespan did not start within 0.2 s"


def test_a_lifespan_that_blocks_the_loop_is_one_readable_line(
    monkeypatch: pytest.MonkeyPatch, holding: Holding
) -> None:
    monkeypatch.setattr(lab.serving, "STARTING", -0.8)  # one second is added for the loop to tell it itself
    assert "its lifespan blocks the event loop" in refusal(with_lifespan(lambda: holding.release.wait(30) and None))


def test_a_lifespan_that_fails_to_shut_down_is_told_by_stop_once() -> None:
    server = serve(with_lifespan(lambda: None, failing))
    with pytest.raises(
        ServeError, match=r"^the app's lifespan failed to shut down: RuntimeError: the database is away$"
    ):
        server.stop()
    server.stop()
    assert is_refused(server.url)


def test_the_cell_s_own_error_is_not_hidden_by_a_failing_shutdown() -> None:
    with pytest.raises(ZeroDivisionError), serve(with_lifespan(lambda: None, failing)) as server:
        _ = 1 / 0
    assert is_refused(server.url)


def test_an_app_that_knows_no_lifespan_is_served() -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    with serve(plain) as server:
        assert httpx.get(server.url).status_code == 204
        assert server.log == []


# Names


@pytest.mark.parametrize("served", [app, wsgi], ids=["asgi", "wsgi"])
def test_serving_again_under_a_name_stops_the_first(served: Any) -> None:
    first = serve(served, name="mine")
    second = serve(served, name="mine")
    assert is_refused(first.url)
    assert (repr(first), repr(second)) == ("<Server mine stopped>", "<Server mine running>")
    assert httpx.get(second.url).status_code == 200
    second.stop()


@pytest.mark.parametrize("served", [app, wsgi], ids=["asgi", "wsgi"])
def test_a_cell_with_a_fixed_port_can_be_run_again(served: Any) -> None:
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with httpx.Client() as client:
        for _ in range(3):
            server = serve(served, port=port)
            assert client.get(server.url).status_code == 200
    server.stop()


def test_stopping_twice_and_stopping_the_replaced_one_leave_the_new_one_alone() -> None:
    first = serve(app, name="again")
    second = serve(app, name="again")
    first.stop()
    third = serve(wsgi)
    assert httpx.get(second.url).text == '"asgi"'
    for server in (second, second, third, third):
        server.stop()


@pytest.mark.parametrize("served", [app, wsgi], ids=["asgi", "wsgi"])
def test_a_lost_handle_stops_its_server_and_a_named_one_is_kept(served: Any) -> None:
    kept = serve(served, name="kept").url
    lost = serve(served).url
    gc.collect()
    assert eventually(lambda: is_refused(lost))
    assert httpx.get(kept).status_code == 200
    serve(served, name="kept").stop()


def test_the_end_of_the_process_stops_every_server() -> None:
    script = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from lab import serve

@asynccontextmanager
async def lifespan(app):
    yield
    print("closed\\n", end="", flush=True)  # one write: two threads print

serve(FastAPI(lifespan=lifespan), name="named")
held = serve(FastAPI(lifespan=lifespan))
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert (ended.stdout.split(), ended.stderr) == (["closed", "closed"], "")


# Stopping


@pytest.mark.parametrize("kind", ["awaiting", "wsgi"])
def test_a_request_in_flight_may_finish(holding: Holding, kind: str) -> None:
    server = serve(getattr(holding, kind))
    asking = Asking(server.url)
    assert holding.entered.wait(5)
    threading.Timer(0.3, holding.release.set).start()
    server.stop()
    asking.join(5)
    assert asking.status == 200


@pytest.mark.parametrize("kind", ["awaiting", "wsgi"])
def test_a_request_that_does_not_finish_is_cut(monkeypatch: pytest.MonkeyPatch, holding: Holding, kind: str) -> None:
    monkeypatch.setattr(lab.serving, "GRACE", 0)
    server = serve(getattr(holding, kind))
    asking = Asking(server.url)
    assert holding.entered.wait(5)
    began = time.perf_counter()
    server.stop()
    assert time.perf_counter() - began < 3
    asking.join(5)
    assert not asking.is_alive()
    assert asking.status in (None, 500)
    assert is_refused(server.url)


def test_a_handler_that_blocks_the_loop_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch, holding: Holding) -> None:
    monkeypatch.setattr(lab.serving, "STOPPING", 0.3)
    server = serve(holding.blocking)
    Asking(server.url)
    assert holding.entered.wait(5)
    began = time.perf_counter()
    with pytest.raises(ServeError, match=r"^the server did not stop within 0\.3 s: a handler blocks its event loop\."):
        server.stop()
    assert time.perf_counter() - began < 3


def cycle(served: Any) -> tuple[float, float]:
    """Seconds to start and to stop, with a keep-alive connection open and a `def` endpoint called."""
    began = time.perf_counter()
    server: Server = serve(served)
    started = time.perf_counter()
    with httpx.Client() as client:
        assert client.get(server.url + "/def").status_code == 200
        stopping = time.perf_counter()
        server.stop()
        return started - began, time.perf_counter() - stopping


@pytest.mark.parametrize("served", [app, wsgi], ids=["asgi", "wsgi"])
def test_servers_come_and_go_fast_and_leave_nothing(served: Any) -> None:
    cycle(served)
    gc.collect()
    threads, files = threading.active_count(), descriptors()
    starts, stops = zip(*(cycle(served) for _ in range(15)), strict=True)
    assert statistics.median(starts) < 0.03
    assert statistics.median(stops) < 0.3
    assert eventually(lambda: threading.active_count() <= threads)
    gc.collect()
    assert descriptors() <= files


def test_a_background_task_of_the_app_does_not_outlive_the_server() -> None:
    ended: list[str] = []
    tasks: set[Any] = set()

    async def forever() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    with serve(with_lifespan(lambda: tasks.add(asyncio.ensure_future(forever())))) as server:
        httpx.get(server.url)
    assert ended == ["cancelled"]
    assert server.log == []


# Logs


@pytest.mark.parametrize("served", [app, "wsgi"], ids=["asgi", "wsgi"])
def test_a_handler_s_error_is_in_the_log_and_not_on_the_screen(
    served: Any, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def failing_wsgi(environ: Any, start_response: Any) -> list[bytes]:
        raise ValueError("a handler's mistake")

    with serve(failing_wsgi if served == "wsgi" else served) as server:
        assert httpx.get(server.url + "/error").status_code == 500
        assert eventually(lambda: len(server.log) == 1)
    assert "ValueError: a handler's mistake" in server.log[0]
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


def test_a_full_wsgi_queue_is_in_the_log(holding: Holding, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(holding.wsgi, threads=1)
    asking = [Asking(server.url) for _ in range(3)]
    assert eventually(lambda: any("Task queue depth" in line for line in server.log))
    holding.release.set()
    for each in asking:
        each.join(5)
    server.stop()
    assert caplog.records == []


def test_a_task_s_lost_exception_is_in_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    async def losing(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        asyncio.ensure_future(asyncio.wait_for(asyncio.Event().wait(), 0))  # noqa: RUF006 the mistake
        await asyncio.sleep(0.02)
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    with serve(losing) as server:
        httpx.get(server.url)
        gc.collect()
        assert eventually(lambda: any("Task exception was never retrieved" in line for line in server.log))
    assert capfd.readouterr() == ("", "")


def test_the_logging_of_other_servers_is_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    loggers = [logging.getLogger(f"uvicorn{name}") for name in ("", ".error", ".access", ".asgi")]
    before = [(each.level, each.propagate, list(each.handlers)) for each in loggers]
    with serve(app) as server:
        httpx.get(server.url)
        logging.getLogger("uvicorn.error").error("another server's")
        logging.getLogger("waitress").error("another server's")
    assert [record.getMessage() for record in caplog.records if record.name != "httpx"] == ["another server's"] * 2
    assert [(each.level, each.propagate, list(each.handlers)) for each in loggers] == before


def test_requests_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "uvicorn.access")
    with serve(app) as server:
        httpx.get(server.url)
    assert [record for record in caplog.records if record.name == "uvicorn.access"] == []


def test_an_asgi_app_is_served_over_https_with_the_certificate_given() -> None:
    authority = trustme.CA()
    theirs, ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    authority.configure_trust(ours)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"scheme", scope["scheme"].encode())]}
            )
            await send({"type": "http.response.body", "body": b""})

    with serve(observe(app), tls=theirs) as server:
        assert server.url.startswith("https://127.0.0.1:")
        assert httpx.get(server.url, verify=ours).headers["scheme"] == "https"
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)
    assert server.observed.starts == 1


def test_tls_for_a_wsgi_app_is_one_readable_line() -> None:
    with pytest.raises(ServeError, match=r"^tls= is for ASGI apps"):
        serve(lambda environ, start_response: [], tls=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
