"""The snippets of chapter 04."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import trustme
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

from app_snippets.connection_pooling import client_per_request, database_pool, pooled_client, retries, streaming_proxy
from lab import load, observe, serve
from lab.judging import eventually

WAIT, WHOLE = 0.3, 1.0  # seconds in the queue, and for the call
BOUND = WAIT + WHOLE + 1.0  # with a second for a machine that is busy


def hello() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def home() -> str:
        return "hello"

    return app


def open_connections(url: str) -> int:
    """Connections that the server of `url`, in this process, holds open."""
    port = urlsplit(url).port
    connections = psutil.Process().net_connections("tcp")
    return sum(one.laddr.port == port and one.status == psutil.CONN_ESTABLISHED for one in connections)


# Counted where they arrive


def test_a_thousand_requests_at_50_at_once_open_at_most_the_pools_size() -> None:
    with serve(observe(hello())) as upstream, serve(pooled_client.create_app(upstream.url, size=10, wait=30)) as server:
        loaded = load(server.url, requests=1000, concurrency=50, timeout=60)
    assert loaded.statuses == {200: 1000}
    assert upstream.observed.starts == 1000
    rounds = 1 + int(loaded.seconds / 4)  # each of the 10 is replaced when it was idle for 4 s, on a slow machine
    assert 1 <= upstream.observed.connections <= 10 * rounds


def test_a_client_per_request_opens_a_thousand() -> None:
    without_authorities = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # or each would read them, for nothing
    with serve(observe(hello())) as upstream:
        app = client_per_request.create_app(upstream.url, verify=without_authorities)
        with serve(app) as server:
            loaded = load(server.url, requests=1000, concurrency=50, timeout=60)
    assert loaded.statuses == {200: 1000}
    assert upstream.observed.connections == 1000


@pytest.mark.parametrize("snippet", [client_per_request, pooled_client, streaming_proxy])
async def test_over_https_as_well_and_not_with_a_certificate_of_nobody_known(snippet: Any) -> None:
    authority = trustme.CA()
    known, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.configure_trust(known)
    authority.issue_cert("127.0.0.1").configure_cert(theirs)
    with serve(observe(hello()), tls=theirs) as upstream:
        for verify, status in {known: 200, True: 502}.items():
            with serve(snippet.create_app(upstream.url, verify=verify)) as server:
                async with httpx.AsyncClient(base_url=server.url) as client:
                    responses = [await client.get("/") for _ in range(5)]
            assert {response.status_code for response in responses} == {status}
    assert upstream.observed.connections == (5 if snippet is client_per_request else 1)


# What an upstream may do

Rogue = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(behave: Rogue) -> AsyncIterator[str]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behave(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()  # until the client goes


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(WHOLE / 10)


async def half_closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write_eof()
    await reader.read()


async def half_answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
    writer.write_eof()
    await reader.read()


async def sending_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x16\x03\x01 is it you?\r\n" * 10)
    await writer.drain()


async def failing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


async def ask(app: FastAPI, times: int = 1) -> list[tuple[httpx.Response, float]]:
    """The responses to that many requests at once, each with its seconds."""

    async def one(client: httpx.AsyncClient) -> tuple[httpx.Response, float]:
        start = time.perf_counter()
        return await client.get("/"), time.perf_counter() - start

    with serve(app) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            answered = await asyncio.gather(*[one(client) for _ in range(times)])
    assert "Traceback" not in "".join(server.log)
    return answered


@pytest.mark.parametrize(
    ("behave", "status"),
    [(slow, 504), (dripping, 504), (half_closing, 502), (half_answering, 502), (sending_garbage, 502), (failing, 502)],
)
async def test_each_way_to_fail_has_its_status_within_the_bound(behave: Rogue, status: int) -> None:
    async with listening(behave) as url:
        [(response, seconds)] = await ask(pooled_client.create_app(url, wait=WAIT, whole=WHOLE))
    assert response.status_code == status
    assert seconds < BOUND


async def test_an_upstream_that_refuses_is_a_502() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    [(response, seconds)] = await ask(pooled_client.create_app(f"http://127.0.0.1:{port}/", wait=WAIT, whole=WHOLE))
    assert (response.status_code, response.json()) == (502, {"detail": "upstream: ConnectError"})
    assert seconds < BOUND


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux drops what its queue of connections has no room for")
async def test_a_dead_upstream_that_answers_no_call_is_a_502() -> None:
    with closing(socket.socket()) as dead:
        dead.bind(("127.0.0.1", 0))
        dead.listen(0)  # nobody accepts: the first to come fills the queue
        with closing(socket.create_connection(dead.getsockname())):
            url = f"http://127.0.0.1:{dead.getsockname()[1]}/"
            [(response, seconds)] = await ask(pooled_client.create_app(url, wait=WAIT, whole=WHOLE + 1))
    assert (response.status_code, response.json()) == (502, {"detail": "upstream: ConnectTimeout"})
    assert seconds < BOUND + 1


async def test_an_upstream_that_dies_is_a_502_and_answers_when_it_is_back() -> None:
    statuses = []
    upstream = serve(hello())
    port = urlsplit(upstream.url).port
    assert port
    with serve(pooled_client.create_app(upstream.url, wait=WAIT, whole=WHOLE)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            statuses.append((await client.get("/")).status_code)
            upstream.stop()
            statuses.append((await client.get("/")).status_code)
            with serve(hello(), port=port):
                statuses.append((await client.get("/")).status_code)
    assert statuses == [200, 502, 200]


async def test_a_full_pool_is_a_503_with_retry_after_within_the_wait() -> None:
    async with listening(slow) as url:
        answered = await ask(pooled_client.create_app(url, size=2, wait=WAIT, whole=WHOLE), times=20)
    busy = [(response, seconds) for response, seconds in answered if response.status_code == 503]
    assert Counter(response.status_code for response, _ in answered) == {503: 18, 504: 2}
    assert {response.headers["retry-after"] for response, _ in busy} == {"1"}
    assert max(seconds for _, seconds in answered) < BOUND


async def test_a_queue_that_moves_has_the_same_deadline() -> None:
    """httpx alone lets all of them wait: its timeout starts anew whenever a connection becomes free."""

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.2)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async with listening(answering) as url:
        answered = await ask(pooled_client.create_app(url, size=1, wait=0.5, whole=2), times=12)
    statuses = Counter(response.status_code for response, _ in answered)
    assert set(statuses) == {200, 503}
    assert statuses[503] >= 6


async def test_the_client_is_closed_with_the_app() -> None:
    with serve(hello()) as upstream:
        with serve(pooled_client.create_app(upstream.url)) as server:
            async with httpx.AsyncClient() as client:
                assert (await client.get(server.url)).status_code == 200
            assert open_connections(upstream.url) == 1
        assert await eventually(lambda: open_connections(upstream.url) == 0)


# A streaming proxy


def endless() -> FastAPI:
    app = FastAPI()

    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b"tick " * 200
            await asyncio.sleep(0.01)

    @app.get("/ticks")
    async def stream() -> StreamingResponse:
        return StreamingResponse(ticks())

    @app.get("/")
    async def home(request: Request) -> dict[str, str]:
        return {"query": request.url.query, "cookie": request.headers.get("cookie", "")}

    @app.get("/broken")
    async def broken() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise RuntimeError("the stream broke")

        return StreamingResponse(parts())

    return app


async def test_200_clients_that_leave_midway_leave_no_connection_behind() -> None:
    async def leave_midway(client: httpx.AsyncClient, places: asyncio.Semaphore) -> None:
        async with places, client.stream("GET", "/ticks") as response:
            async for _ in response.aiter_raw():
                return

    with serve(observe(endless())) as upstream, serve(streaming_proxy.create_app(upstream.url, size=20)) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            places = asyncio.Semaphore(10)
            await asyncio.gather(*[leave_midway(client, places) for _ in range(200)])
            assert await eventually(lambda: upstream.observed.ends == 200, within=20)
            assert await eventually(lambda: open_connections(upstream.url) == 0, within=20)
            assert (await client.get("/")).status_code == 200
    assert "Traceback" not in "".join(server.log)


async def test_it_passes_on_what_comes_as_it_comes_and_stays_with_its_host() -> None:
    with serve(endless()) as upstream, serve(streaming_proxy.create_app(upstream.url)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            response = await client.get("/?a=1&b=%20", headers={"Cookie": "session=1"})
            assert response.json() == {"query": "a=1&b=%20", "cookie": ""}
            for path in ("//example.org/", "/http://example.org/", "/@example.org/", "/nowhere"):
                assert (await client.get(server.url + path)).json() == {"detail": "Not Found"}
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get("/broken")  # half a stream is not passed off as the whole


@pytest.mark.parametrize(("behave", "status"), [(half_closing, 502), (sending_garbage, 502), (failing, 500)])
async def test_a_stream_that_never_starts_has_a_status(behave: Rogue, status: int) -> None:
    async with listening(behave) as url:
        [(response, _)] = await ask(streaming_proxy.create_app(url))
    assert response.status_code == status


# Retries


class Flaky(httpx.AsyncBaseTransport):
    """Fails in the given ways, then answers."""

    def __init__(self, *ways: int | Exception) -> None:
        self.ways, self.calls, self.closed = list(ways), 0, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        way = self.ways.pop(0) if self.ways else 200
        if isinstance(way, Exception):
            raise way
        return httpx.Response(way, stream=Closing(self))


class Closing(httpx.AsyncByteStream):
    def __init__(self, flaky: Flaky) -> None:
        self.flaky = flaky

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"answer"

    async def aclose(self) -> None:
        self.flaky.closed += 1


async def parts() -> AsyncIterator[bytes]:
    yield b"a body that comes once"


GONE = httpx.ConnectError("gone")
FULL = httpx.PoolTimeout("full")


@pytest.mark.usefixtures("no_blocking")
@pytest.mark.parametrize(
    ("method", "content", "ways", "status", "calls"),
    [
        ("GET", None, [503, GONE], 200, 3),
        ("PUT", b"the same again", [503, GONE], 200, 3),
        ("GET", None, [503, 503, 503, 200], 503, 3),
        ("GET", None, [GONE, GONE, GONE], GONE, 3),
        ("GET", None, [500], 500, 1),
        ("GET", None, [FULL], FULL, 1),
        ("POST", b"order", [503], 503, 1),
        ("POST", b"order", [GONE], GONE, 1),
        ("PUT", parts(), [503], 503, 1),
    ],
)
async def test_what_is_safe_to_repeat_is_repeated_and_nothing_else(
    method: str, content: Any, ways: list[int | Exception], status: int | Exception, calls: int
) -> None:
    flaky = Flaky(*ways)
    transport = retries.RetryTransport(flaky, attempts=3, backoff=0.001)
    async with httpx.AsyncClient(transport=transport, base_url="http://upstream") as client:
        if isinstance(status, Exception):
            with pytest.raises(type(status)):
                await client.request(method, "/", content=content)
        else:
            assert (await client.request(method, "/", content=content)).status_code == status
    assert flaky.calls == calls
    assert flaky.closed == sum(isinstance(way, int) for way in [*ways, 200][:calls])


async def test_the_pauses_grow_and_are_scattered(monkeypatch: pytest.MonkeyPatch) -> None:
    longest = []

    def uniform(low: float, high: float) -> float:
        longest.append((low, high))
        return 0.0

    monkeypatch.setattr(retries.random, "uniform", uniform)
    async with httpx.AsyncClient(transport=retries.RetryTransport(Flaky(503, 503, 503), attempts=4)) as client:
        await client.get("http://upstream/")
    assert longest == [(0, 0.1), (0, 0.2), (0, 0.4)]


@pytest.mark.parametrize(("method", "status", "asked"), [("GET", 200, 3), ("POST", 503, 1)])
def test_an_upstream_that_recovers_hears_a_get_again_and_a_post_once(method: str, status: int, asked: int) -> None:
    app, answers = FastAPI(), iter([503, 503, 200])

    @app.api_route("/", methods=["GET", "POST"])
    async def home() -> Response:
        return Response(status_code=next(answers))

    with serve(observe(app)) as upstream, serve(retries.create_app(upstream.url)) as server:
        assert httpx.request(method, server.url).status_code == status
    assert upstream.observed.starts == asked


# A pool of database connections


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's programs: on PATH, or where Debian has them."""
    on_path = shutil.which("postgres")
    folders = [*Path("/usr/lib/postgresql").glob("*/bin"), *([Path(on_path).resolve().parent] if on_path else [])]
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, on a free port, with its data in a folder of its own."""
    programs = postgres_programs()
    if sys.platform == "win32" or programs is None:
        pytest.skip("PostgreSQL is not installed")
    as_user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        import pwd

        try:
            account = pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    data = str(folder / "data")
    common: dict[str, Any] = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **as_user}
    initdb = [str(programs / "initdb"), "-D", data, "-A", "trust", "-U", "course", "--no-sync"]
    postgres = [str(programs / "postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-F"]
    server = None
    try:
        subprocess.run(initdb, check=True, timeout=60, **common)
        server = subprocess.Popen(postgres, **common)
        deadline = time.monotonic() + 60
        status = folder / "data" / "postmaster.pid"  # its last line is the server's status
        while not (status.exists() and "ready" in status.read_text()):
            assert server.poll() is None, "PostgreSQL ended"
            assert time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.05)
        yield f"postgresql+asyncpg://course@127.0.0.1:{port}/postgres"
    finally:
        if server:
            server.terminate()  # SIGTERM: it waits for its clients to go
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{(tmp_path / 'notes.db').as_posix()}"
    url: str = request.getfixturevalue("postgres")
    return url


async def test_a_note_is_kept_in_either_database(database: str) -> None:
    for expected in (["first"], ["first", "first"]):  # the second time by a new app, and new connections
        with serve(database_pool.create_app(database)) as server:
            async with httpx.AsyncClient(base_url=server.url) as client:
                assert (await client.post("/notes?text=first")).status_code == 201
                assert (await client.get("/notes")).json()[-len(expected) :] == expected
        assert "Traceback" not in "".join(server.log)


async def test_an_exhausted_pool_of_either_database_is_a_503_with_retry_after(database: str) -> None:
    app = database_pool.create_app(database, size=2, wait=0.1)
    held, all_in, release = [], asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @app.get("/hold")
    async def hold(request: Request) -> None:
        async with request.state.sessions() as session:
            await session.execute(database_pool.select(database_pool.Note))  # a connection is taken with the first use
            held.append(session)
            if len(held) == 2:
                loop.call_soon_threadsafe(all_in.set)
            while not release.is_set():  # noqa: ASYNC110 - the event belongs to another loop
                await asyncio.sleep(0.01)

    with serve(app) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            holding = [asyncio.create_task(client.get("/hold")) for _ in range(2)]
            await all_in.wait()
            start = time.perf_counter()
            busy = await client.get("/notes")
            seconds = time.perf_counter() - start
            release.set()
            await asyncio.gather(*holding)
            free = await client.get("/notes")
    assert (busy.status_code, busy.headers["retry-after"]) == (503, "1")
    assert seconds < 2
    assert free.status_code == 200
    assert "Traceback" not in "".join(server.log)


def test_load_on_either_database_meets_a_pool_that_is_large_enough_for_all(database: str) -> None:
    with serve(database_pool.create_app(database, size=3, wait=30)) as server:
        assert load(server.url + "/notes", requests=200, concurrency=20).statuses == {200: 200}


async def test_postgresql_sees_no_more_connections_than_the_pool_has(postgres: str) -> None:
    import asyncpg

    with serve(database_pool.create_app(postgres, size=3, wait=30)) as server:
        assert load(server.url + "/notes", requests=200, concurrency=20).statuses == {200: 200}
        watcher = await asyncpg.connect(postgres.replace("+asyncpg", ""))
        seen = await watcher.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = 'postgres' AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        killed = await watcher.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'postgres' "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        await watcher.close()
        async with httpx.AsyncClient() as client:
            after = await client.get(server.url + "/notes")  # pool_pre_ping finds the dead ones
    assert (seen, killed, after.status_code) == (3, 3, 200)
