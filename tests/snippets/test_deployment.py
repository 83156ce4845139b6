"""The snippets and files of chapter 06, under real servers, real signals and a real nginx."""

import asyncio
import contextlib
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from packaging.requirements import Requirement
from pydantic import ValidationError

from app_snippets.deployment import service, trusted_proxy
from lab import launch
from lab.launching import Launched, LaunchError
from tests.snippets.behind_nginx import FOLDER, asked, complaint, configuration, failed, nginx
from tests.snippets.real_redis import ABSENT, PROGRAM, RealRedis

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no signals and no gunicorn on Windows")

UVICORN = ["uvicorn", "service:app", "--port", "{port}", "--no-access-log", "--timeout-keep-alive", "75"]
GUNICORN = ["gunicorn", "service:app", "-b", "127.0.0.1:{port}", "-w", "2"]
BARE = ["-c", "/dev/null", "-k", "uvicorn_worker.UvicornWorker"]  # instead of gunicorn.conf.py
SERVERS = {
    "uvicorn": (UVICORN, 1),
    "uvicorn --workers": ([*UVICORN, "--workers", "2"], 2),
    "gunicorn -k uvicorn_worker.UvicornWorker": ([*GUNICORN, "-k", "uvicorn_worker.UvicornWorker"], 2),
    "gunicorn -k asgi": ([*GUNICORN, "-k", "asgi"], 2),
}
every_server = pytest.mark.parametrize(("command", "workers"), SERVERS.values(), ids=SERVERS)
MINUTE = 60  # until a test gives up waiting, on a machine that is busy


def start(command: list[str], *, drain: float = 1, finish: float = 1, **env: str) -> Launched:
    times = {"DRAIN_SECONDS": str(drain), "FINISH_SECONDS": str(finish)}
    return launch(command, cwd=FOLDER, env=times | env, seconds=MINUTE)


def wait_for(condition: Callable[[], object], what: str = "it") -> float:
    """Polls until `condition` holds, and returns how long that took."""
    began = time.perf_counter()
    while not condition():
        assert time.perf_counter() - began < MINUTE, f"{what} did not happen within {MINUTE} s"
        time.sleep(0.02)
    return time.perf_counter() - began


async def happens(condition: Callable[[], object], what: str) -> None:
    await asyncio.to_thread(wait_for, condition, what)


def lines(server: Launched, message: str = "request") -> list[dict[str, Any]]:
    """The service's own lines in its log: one JSON object each."""
    found = [json.loads(line) for line in server.log.splitlines() if line.startswith("{") and line.endswith("}")]
    return [line for line in found if line["message"] == message]


def started(server: Launched, times: int) -> None:
    wait_for(lambda: len(lines(server, "started")) >= times, "the start of each worker")


def workers_of(server: Launched) -> set[psutil.Process]:
    return set(server.processes()[0].children())


class Asked(threading.Thread):
    """A request under way in a thread of its own. `outcome` is its status, or the class of what it raised."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url, self.outcome, self.begun = url, "", threading.Event()
        self.start()

    def run(self) -> None:
        try:
            with httpx.stream("GET", self.url, timeout=MINUTE) as response:
                self.begun.set()
                response.read()
                self.outcome = str(response.status_code)
        except httpx.HTTPError as error:
            self.outcome = type(error).__name__


def status(url: str, **how: Any) -> int:
    return httpx.get(url, timeout=MINUTE, **how).status_code


# Under every server


@every_server
def test_it_answers_and_its_lifespan_runs_once_in_each_worker(command: list[str], workers: int) -> None:
    with start(command, drain=0) as server:
        started(server, workers)
        assert [status(server.url + path) for path in ("/", "/live", "/ready", "/io?ms=1", "/cpu?ms=1")] == [200] * 5
        assert httpx.get(server.url + "/stream?ms=200").text == "0\n1\n"
        assert status(server.url + "/io?ms=-1") == 422
        server.processes()[0].terminate()
        wait_for(lambda: not server.processes(), "the end")
        pids = [{line["pid"] for line in lines(server, word)} for word in ("started", "stopped")]
        assert pids[0] == pids[1]
        assert len(pids[0]) == len(lines(server, "started")) == len(lines(server, "stopped")) == workers


@every_server
def test_it_is_red_first_answers_on_finishes_and_leaves_nothing(command: list[str], workers: int) -> None:
    drain, finish = 3.0, 3.0
    with start(command, drain=drain, finish=finish) as server:
        started(server, workers)
        stream = Asked(server.url + "/stream?ms=600000")
        assert stream.begun.wait(MINUTE)
        in_flight = Asked(f"{server.url}/io?ms={drain * 1000 + 1000:.0f}")
        hanging = Asked(server.url + "/io?ms=600000")  # waits for something that will never answer
        asked_now = time.perf_counter()
        wait_for(lambda: len(psutil_connections(server)) >= 3, "three requests")

        began = time.perf_counter()
        server.processes()[0].terminate()
        wait_for(lambda: status(server.url + "/ready") == 503, "red")
        server.processes()[0].terminate()  # a second one changes nothing
        answer = httpx.get(server.url + "/")
        assert answer.status_code == 200  # new, red, and answered
        assert answer.headers["connection"] == "close"
        assert status(server.url + "/live") == 200  # alive: killing it would cut what it finishes
        assert httpx.get(server.url + "/ready").json() == {"ready": False, "because": "draining"}
        assert time.perf_counter() - began < drain

        for request in (in_flight, stream, hanging):
            request.join(MINUTE)
        wait_for(lambda: not server.processes(), "the end")
        took = time.perf_counter() - began
        assert in_flight.outcome == "200", f"after {time.perf_counter() - asked_now} s: {server.log[-2000:]}"
        assert stream.outcome == "RemoteProtocolError"
        assert hanging.outcome in ("500", "RemoteProtocolError", "ReadError")  # uvicorn answers 500 for what is cut
        assert drain + finish - 0.1 < took < drain + finish + 10
        cut = [line for line in lines(server) if not line["whole"]]
        assert sorted(line["path"] for line in cut) == ["/io", "/stream"]


def psutil_connections(server: Launched) -> list[Any]:
    """Connections that are open at the server's port, from the side of this process."""
    port = int(server.url.rpartition(":")[2])
    mine = psutil.Process().net_connections("tcp")
    return [one for one in mine if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED]


DRIVER = """
import asyncio
from graceful_drain import Drain, create_app

app = create_app(Drain(1.5, 1))

@app.get("/io")
async def io(ms: int) -> None:
    await asyncio.sleep(ms / 1000)
"""


def test_the_drain_alone_does_the_same(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    command = ["uvicorn", "driver:app", "--port", "{port}"]
    with launch(command, ready="/ready", cwd=tmp_path, env={"PYTHONPATH": str(FOLDER)}, seconds=MINUTE) as server:
        in_flight, hanging = Asked(server.url + "/io?ms=2000"), Asked(server.url + "/io?ms=600000")
        wait_for(lambda: len(psutil_connections(server)) >= 2, "two requests")
        server.processes()[0].terminate()
        wait_for(lambda: status(server.url + "/ready") == 503, "red")
        assert status(server.url + "/io?ms=0") == 200
        in_flight.join(MINUTE)
        assert in_flight.outcome == "200"
        wait_for(lambda: not server.processes(), "the end")
        hanging.join(MINUTE)
        assert hanging.outcome != "200"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("uvicorn", "ConnectError"),
        ("uvicorn --workers", "ReadTimeout"),
        ("gunicorn -k uvicorn_worker.UvicornWorker", "ConnectError"),
    ],
)
def test_after_the_drain_a_new_connection_is_refused_and_kept_waiting_by_uvicorns_parent(
    name: str, outcome: str
) -> None:
    """The parent has the listening socket open for as long as it waits for its children: `Multiprocess.join_all`. A
    proxy can only go to the next server at once when it is refused.
    """
    command, workers = SERVERS[name]
    with start(command, drain=0.5, finish=8) as server:
        started(server, workers)
        hanging = Asked(server.url + "/stream?ms=600000")
        assert hanging.begun.wait(MINUTE)
        server.processes()[0].terminate()

        def failure() -> str:
            try:
                httpx.get(server.url, timeout=1)
            except httpx.HTTPError as error:
                return type(error).__name__
            return ""

        wait_for(failure, "the end of the drain")
        assert failure() == outcome  # the first may have been met by the closing itself
        assert not hanging.outcome


def test_without_gunicorn_conf_the_asgi_worker_stops_at_once() -> None:
    """Its handler is in its loop: the lifespan finds nothing to wrap. This is why gunicorn.conf.py changes that."""
    with start([*GUNICORN, "-c", "/dev/null", "-k", "asgi"], drain=30) as server:
        started(server, 2)
        server.processes()[0].terminate()
        assert wait_for(lambda: not server.processes(), "the end") < 20


def test_an_interrupt_does_not_wait() -> None:
    with start(UVICORN, drain=60) as server:
        server.processes()[0].send_signal(signal.SIGINT)
        assert wait_for(lambda: not server.processes(), "the end") < 20


@every_server
def test_no_request_is_refused_before_the_drain_is_over(command: list[str], workers: int) -> None:
    drain = 1.5
    with start(command, drain=drain, finish=0.5) as server:
        started(server, workers)
        began = time.perf_counter()
        server.processes()[0].terminate()
        answered = []
        with contextlib.suppress(httpx.TransportError):
            while True:  # each comes by a connection of its own
                answered.append(httpx.get(server.url, timeout=10).status_code)
        assert time.perf_counter() - began >= drain
        assert set(answered) == {200}
        assert len(answered) >= 5
        wait_for(lambda: not server.processes(), "the end")


@pytest.mark.parametrize("worker", ["uvicorn_worker.UvicornWorker", "asgi"])
def test_a_stop_during_the_import_is_not_forgotten(worker: str, tmp_path: Path) -> None:
    """A worker that had not heard it would go on, until SIGKILL ends it after the graceful_timeout of 65 s."""
    (tmp_path / "slow_driver.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(1)\nfrom service import app"
    )
    command = [sys.executable, "-m", "gunicorn", "slow_driver:app", "--bind", "127.0.0.1:0", "--workers", "1"]
    command += ["--worker-class", worker, "--config", str(FOLDER / "gunicorn.conf.py")]
    env = {**os.environ, "PYTHONPATH": str(FOLDER), "DRAIN_SECONDS": "50"}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == b"importing\n"
            process.terminate()
            assert process.wait(30) == 0
        finally:
            process.kill()


# Nothing is lost


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port: int = probe.getsockname()[1]
        return port


def on(port: int, drain: float) -> subprocess.Popen[bytes]:
    """The service as a process of its own on a port that it had before, ready."""
    command = [sys.executable, "-m", *[part.format(port=port) for part in UVICORN]]
    env = {**os.environ, "DRAIN_SECONDS": str(drain), "FINISH_SECONDS": "5", "LOG_LEVEL": "WARNING"}
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([*command, "--log-level", "warning"], cwd=FOLDER, env=env, stdout=quiet, stderr=quiet)
    wait_for(lambda: answers(port), "an answer")
    return process


def answers(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    return False


async def restarts(
    times: int, *, drain: float, rate: float = 60, change: Callable[[str], str] = str
) -> tuple[int, int]:
    """Each time a new process on the other port, then SIGTERM for the old one. Requests, and those that failed."""
    ports = free_port(), free_port()
    running = await asyncio.to_thread(on, ports[0], drain)
    try:
        with nginx(change(configuration(*(f"127.0.0.1:{port}" for port in ports)))) as front:
            async with asked(front.url, rate, slow="/io?ms=300") as outcomes:
                for turn in range(1, times + 1):
                    old, running = running, await asyncio.to_thread(on, ports[turn % 2], drain)
                    old.terminate()
                    assert await asyncio.to_thread(old.wait, MINUTE) in (0, -signal.SIGTERM)
    finally:
        running.kill()
        running.wait()
    return outcomes.total(), failed(outcomes)


def without_retry(text: str) -> str:
    assert "proxy_next_upstream error timeout;" in text
    return text.replace("proxy_next_upstream error timeout;", "proxy_next_upstream off;")


@pytest.mark.timeout(400)
async def test_20_restarts_behind_nginx_lose_no_request(tell: list[str]) -> None:
    """Four services at once, each behind its nginx, each restarted five times: most of the time is waiting."""
    counted = await asyncio.gather(*(restarts(5, drain=2.5, rate=20) for _ in range(4)))
    requests, lost = (sum(numbers) for numbers in zip(*counted, strict=True))
    tell.append(f"deployment: 20 restarts behind nginx: {requests} requests, {lost} failed")
    assert lost == 0
    assert requests > 200


@pytest.mark.timeout(200)
async def test_restarts_lose_some_when_nginx_does_not_try_again_and_nothing_drains(tell: list[str]) -> None:
    requests, lost = await restarts(3, drain=0, change=without_retry)
    tell.append(f"deployment: 3 restarts, no retry, no drain: {requests} requests, {lost} failed")
    assert lost >= 1


async def reloads(server: Launched, times: int, workers: int) -> None:
    """SIGHUP, and as soon as all workers are new ones, again."""
    for _ in range(times):
        old, seen = workers_of(server), len(lines(server, "started"))
        server.processes()[0].send_signal(signal.SIGHUP)
        await happens(lambda seen=seen: len(lines(server, "started")) >= seen + workers, "the start of new workers")
        await happens(lambda old=old: not workers_of(server) & old, "the end of old workers")


@pytest.mark.timeout(400)
async def test_20_reloads_behind_nginx_lose_no_request_with_either_worker(tell: list[str]) -> None:
    """Two services of each kind, each behind its nginx, all reloaded ten times at once. A lone gunicorn has no other
    server to be tried: it is named twice.
    """

    async def reloaded(server: Launched, front: Launched) -> Counter[str]:
        async with asked(front.url, 20, slow="/io?ms=300") as outcomes:
            await reloads(server, 10, workers=1)
        assert "reset by peer" not in front.log  # not even once, so that a POST is safe as well
        return outcomes

    kinds = ["uvicorn_worker.UvicornWorker", "asgi"] * 2
    with contextlib.ExitStack() as stack:
        pairs = []
        for kind in kinds:
            server = stack.enter_context(start([*GUNICORN[:-1], "1", "-k", kind], drain=1.5, finish=5))
            address = server.url.removeprefix("http://")
            pairs.append((server, stack.enter_context(nginx(configuration(address, address)))))
        outcomes = await asyncio.gather(*(reloaded(*pair) for pair in pairs))
    for kind in sorted(set(kinds)):
        of_it = [one for one, of in zip(outcomes, kinds, strict=True) if of == kind]
        requests, lost = sum(one.total() for one in of_it), sum(failed(one) for one in of_it)
        tell.append(f"deployment: 20 reloads, {kind}: {requests} requests, {lost} failed")
        assert lost == 0, of_it
        assert requests > 200


@pytest.mark.timeout(200)
async def test_a_bare_reload_loses_what_outlasts_its_timeout(tell: list[str]) -> None:
    """How many connections it closes under a request is chance. This is not: while uvicorn's worker finishes, it sends
    no sign of life, since `Server.shutdown` calls no `callback_notify`, and the master takes it for hanging.
    """
    with start([*GUNICORN, *BARE, "--timeout", "2"], drain=0) as server:
        started(server, 2)
        async with asked(server.url) as outcomes:
            slow = Asked(server.url + "/io?ms=15000")
            await asyncio.to_thread(wait_for, lambda: len(psutil_connections(server)) >= 1)
            await reloads(server, 2, workers=2)
            await asyncio.to_thread(slow.join, MINUTE)
    tell.append(f"deployment: 2 bare reloads: {outcomes.total()} requests, {failed(outcomes)} failed, and the slow one")
    assert slow.outcome != "200"


# When something breaks


@pytest.mark.parametrize("worker", ["uvicorn_worker.UvicornWorker", "asgi"])
def test_a_blocked_worker_of_gunicorn_is_killed_and_the_service_is_back(worker: str, tell: list[str]) -> None:
    with start([*GUNICORN, "-w", "1", "-k", worker, "--timeout", "2"]) as server:
        (old,) = workers_of(server)
        blocking = Asked(server.url + "/cpu?ms=120000")
        began = time.perf_counter()
        blocking.join(MINUTE)
        assert blocking.outcome != "200"
        assert httpx.get(server.url, timeout=MINUTE).json()["pid"] != old.pid
        back = time.perf_counter() - began
        tell.append(f"deployment: back after a blocked worker, {worker}, timeout 2 s: {back:.1f} s")
        assert back < 2 + 20  # the timeout, a second for the master to look, and the start of a worker
        assert "WORKER TIMEOUT" in server.log


def test_a_blocked_worker_of_uvicorn_is_left_as_it_is() -> None:
    """Its supervisor asks a thread of the worker, `always_pong`, and that one turns while the loop does not."""
    with start([*UVICORN, "--workers", "1", "--timeout-worker-healthcheck", "1"]) as server:
        started(server, 1)
        assert status(server.url + "/cpu?ms=4000") == 200
        assert len(lines(server, "started")) == 1


@pytest.mark.parametrize("name", ["uvicorn --workers", "gunicorn -k uvicorn_worker.UvicornWorker", "gunicorn -k asgi"])
def test_a_killed_worker_is_replaced(name: str, tell: list[str]) -> None:
    command, _ = SERVERS[name]
    with start(command) as server:
        started(server, 2)
        killed = httpx.get(server.url).json()["pid"]
        began = time.perf_counter()
        psutil.Process(killed).kill()
        started(server, 3)
        back = time.perf_counter() - began
        tell.append(f"deployment: a new worker after SIGKILL, {name}: {back:.1f} s")
        assert back < 30
        assert httpx.get(server.url).json()["pid"] != killed


HANGING = """
import time

@app.get("/handler")
def handler() -> None:
    time.sleep(600)

@app.get("/executor")
async def executor() -> None:
    await asyncio.to_thread(time.sleep, 600)
"""
BY_UVICORN = ["uvicorn", "driver:app", "--port", "{port}"]
BY_GUNICORN = ["gunicorn", "driver:app", "-b", "127.0.0.1:{port}", "-c", str(FOLDER / "gunicorn.conf.py")]
BY_ASGI = [*BY_GUNICORN, "-k", "asgi", "--graceful-timeout", "8"]


@pytest.mark.parametrize(
    ("command", "path", "bound"),
    [
        (BY_UVICORN, "/handler", 2.5),
        (BY_UVICORN, "/executor", 2.5),
        (BY_GUNICORN, "/executor", 2.5),
        (BY_ASGI, "/handler", 2.5),
        (BY_ASGI, "/executor", 8),
    ],
)
def test_a_thread_that_hangs_is_left_behind(command: list[str], path: str, bound: float, tmp_path: Path) -> None:
    """Its request is cut, and uvicorn, when it is done, ends its process by the signal (`Server.capture_signals`).
    gunicorn's asgi worker ends as Python does, which waits for threads of an executor: SIGKILL has the last word.
    """
    (tmp_path / "driver.py").write_text(DRIVER + HANGING)
    with launch(command, ready="/ready", cwd=tmp_path, env={"PYTHONPATH": str(FOLDER)}, seconds=MINUTE) as server:
        request = Asked(server.url + path)
        wait_for(lambda: len(psutil_connections(server)) >= 1)
        server.processes()[0].terminate()
        assert bound - 0.5 < wait_for(lambda: not server.processes(), "the end") < bound + 10
        request.join(MINUTE)
        assert request.outcome != "200"


def test_nginx_goes_on_with_the_other_one_when_one_hangs() -> None:
    with start(UVICORN) as one, start(UVICORN) as two:
        addresses = [server.url.removeprefix("http://") for server in (one, two)]
        text = configuration(*addresses)
        assert "proxy_read_timeout 30s;" in text
        with nginx(text.replace("proxy_read_timeout 30s;", "proxy_read_timeout 1s;")) as front:
            one.processes()[0].suspend()  # the system accepts for it, and nobody answers
            began = time.perf_counter()
            answered = [httpx.get(front.url, timeout=MINUTE).json()["pid"] for _ in range(6)]
            assert set(answered) == {two.processes()[0].pid}
            assert time.perf_counter() - began < 6 * 1 + 10
            one.processes()[0].resume()


@pytest.mark.skipif(not PROGRAM, reason=ABSENT)
def test_it_is_not_ready_but_alive_without_its_redis(tmp_path: Path) -> None:
    redis = RealRedis(tmp_path)
    redis.start()
    try:
        with start(UVICORN, REDIS_URL=redis.url) as server:
            ready = server.url + "/ready"
            assert status(ready) == 200
            redis.hang()
            assert httpx.get(ready, timeout=MINUTE).json() == {"ready": False, "because": "no Redis"}
            redis.go_on()
            wait_for(lambda: status(ready) == 200, "ready again")
            redis.stop()
            assert status(ready) == 503
            assert status(server.url + "/live") == status(server.url) == 200
            redis.start()
            wait_for(lambda: status(ready) == 200, "ready again")
    finally:
        redis.stop()


# What it says, and what it is told


def test_a_wrong_setting_stops_it_at_its_start() -> None:
    with pytest.raises(LaunchError, match="ended with exit code 1"):
        start(UVICORN, DRAIN_SECONDS="soon")


def test_a_wrong_setting_is_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "http://:hunter2@redis")  # its password would be in the log
    with pytest.raises(ValidationError, match="scheme should be 'redis'") as refused:
        service.Settings()
    assert "hunter2" not in str(refused.value)


def test_an_empty_setting_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "")
    assert service.Settings().redis_url is None


async def test_a_request_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    app = service.create_app(service.Settings())

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("two\nlines")

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for path in ("/live?secret=1", "/nowhere", "/broken"):
            await client.get(path, headers={"X-Request-ID": 'a"b'})
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = [(line["level"], line["path"], line["status"], line["whole"], line["request_id"]) for line in written]
    assert told == [
        ("INFO", "/live", 200, True, 'a"b'),  # no query: a secret may be in it
        ("INFO", "/nowhere", 404, True, 'a"b'),
        ("ERROR", "/broken", 500, False, 'a"b'),
    ]
    assert "two\nlines" in written[2]["error"]


# Who asks


def from_other_address(url: str, **headers: str) -> str:
    """As a client that is not where nginx is: from 127.0.0.2."""
    with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as client:
        answer: str = client.get(url, headers=headers, timeout=MINUTE).json()["client"]
        return answer


@pytest.fixture
def other_address() -> str:
    try:
        socket.create_server(("127.0.0.2", 0)).close()
    except OSError:
        pytest.skip("this system has no address 127.0.0.2: `ifconfig lo0 alias 127.0.0.2` gives it one")
    return "127.0.0.2"


def adding(text: str) -> str:
    """nginx as many have it: what the client said stays, at the left."""
    assert "X-Forwarded-For $remote_addr;" in text
    return text.replace("X-Forwarded-For $remote_addr;", "X-Forwarded-For $proxy_add_x_forwarded_for;")


FORGED = {"X-Forwarded-For": "192.0.2.66"}
TRUSTING = ["uvicorn", "trusted_proxy:app", "--port", "{port}", "--no-proxy-headers"]


@pytest.mark.parametrize("change", [adding, str], ids=["nginx adds", "nginx overwrites"])
def test_a_forged_address_fools_trust_in_everybody_and_not_the_snippet(
    change: Callable[[str], str], other_address: str
) -> None:
    with (
        start([*UVICORN, "--forwarded-allow-ips", "*"]) as naive,
        start(TRUSTING, TRUSTED_PROXIES="127.0.0.1/32") as right,
    ):
        seen = {}
        for name, server in {"naive": naive, "right": right}.items():
            address = server.url.removeprefix("http://")
            with nginx(change(configuration(address, address))) as front:
                seen[name] = from_other_address(front.url, **FORGED)
        assert seen["right"] == other_address
        assert seen["naive"] == ("192.0.2.66" if change is adding else other_address)
        # and past nginx, whoever reaches the port itself
        assert from_other_address(naive.url, **FORGED) == "192.0.2.66"
        assert from_other_address(right.url, **FORGED) == other_address


@every_server
def test_the_service_itself_believes_only_its_proxy(command: list[str], workers: int, other_address: str) -> None:
    with start(command, FORWARDED_ALLOW_IPS="127.0.0.1") as server:
        address = server.url.removeprefix("http://")
        with nginx(configuration(address, address)) as front:
            seen = from_other_address(front.url, **FORGED)
        assert seen == ("127.0.0.1" if "asgi" in command else other_address)  # gunicorn's asgi worker has no such thing
        assert from_other_address(server.url, **FORGED) == other_address


NETWORKS = [trusted_proxy.ip_network(text) for text in ("10.0.0.0/8", "fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", "192.0.2.1", "203.0.113.9"),  # nobody we know says so
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "192.0.2.66, 203.0.113.9", "203.0.113.9"),  # the left one was there before
        ("10.0.0.1", "192.0.2.66,203.0.113.9 ,10.0.0.2", "203.0.113.9"),  # through two of ours
        ("10.0.0.1", "10.9.9.9, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1, ", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "192.0.2.1, rubbish", "10.0.0.1"),  # no address: nobody further is known
        ("::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("fd00::1", "2001:db8::1", "2001:db8::1"),
        ("/run/socket", "192.0.2.1", "/run/socket"),
    ],
)
def test_the_address_is_counted_from_the_right(peer: str, forwarded: str, client: str) -> None:
    assert trusted_proxy.client_address(peer, forwarded, NETWORKS) == client


def test_a_client_that_sends_slowly_holds_nginx_and_not_the_service() -> None:
    with start(UVICORN) as server:
        address = server.url.removeprefix("http://")
        with nginx(configuration(address, address)) as front:
            host, _, port = front.url.removeprefix("http://").partition(":")
            inside = psutil.Process(server.processes()[0].pid)

            def held() -> int:
                return sum(one.status == psutil.CONN_ESTABLISHED for one in inside.net_connections("tcp"))

            with closing(socket.create_connection((host, int(port)))) as slow:
                slow.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nha")
                assert status(front.url + "/live") == 200  # later, and answered before
                before = len(lines(server))
                wait_for(lambda: held() <= 1)  # nginx's own, kept from that
                assert "POST" not in {line["method"] for line in lines(server)}
                slow.sendall(b"lf")
                assert slow.recv(100).startswith(b"HTTP/1.1 405")
                wait_for(lambda: len(lines(server)) > before)


# The files


def text_of(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def checked(program: str, *arguments: str, text: str, name: str, folder: Path) -> str:
    """What a program of this environment says of `text` in a file of that name; nothing where it is content."""
    (folder / name).write_text(text, encoding="utf-8")
    command = [str(Path(sysconfig.get_path("scripts"), program)), *arguments, str(folder / name)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=MINUTE)
    return done.stdout + done.stderr if done.returncode else ""


CHECKS = {
    "Dockerfile": ["hadolint"],
    "compose.yaml": ["check-jsonschema", "--builtin-schema", "vendor.compose-spec"],
    "kubernetes.yaml": ["kubernetes-validate", "--strict"],
}


@pytest.mark.parametrize("name", CHECKS)
def test_its_checker_is_content_with(name: str, tmp_path: Path) -> None:
    assert checked(*CHECKS[name], text=text_of(name), name=name, folder=tmp_path) == ""


@pytest.mark.parametrize(
    ("name", "right", "wrong", "word"),
    [
        ("Dockerfile", "python:3.13-slim-trixie", "python:latest", "DL3007"),
        ("Dockerfile", 'CMD ["uvicorn", "service:app"', 'CMD uvicorn "service:app"', "DL3025"),
        ("Dockerfile", "USER 10001:10001", "USER root", "DL3002"),
        ("Dockerfile", "--no-cache-dir", "", "DL3042"),
        ("compose.yaml", "mem_limit", "memory_limit", "memory_limit"),
        ("compose.yaml", "condition: service_healthy", "condition: healthy", "healthy"),
        ("kubernetes.yaml", "readinessProbe", "readyProbe", "readyProbe"),
        ("kubernetes.yaml", "maxSurge: 1", "maxSurge: [1]", "maxSurge"),
    ],
)
def test_its_checker_notices(name: str, right: str, wrong: str, word: str, tmp_path: Path) -> None:
    text = text_of(name)
    assert right in text
    assert word in checked(*CHECKS[name], text=text.replace(right, wrong), name=name, folder=tmp_path)


def test_nginx_is_content_with_its_file() -> None:
    text = configuration("127.0.0.1:8001", "127.0.0.1:8002")
    assert complaint(text) == ""
    assert "unknown directive" in complaint(text.replace("proxy_next_upstream ", "proxy_next_upstreams "))
    assert "host not found" in complaint(text_of("nginx.conf"))  # one and two are names of compose.yaml


def instructions() -> list[tuple[str, str]]:
    """Of the Dockerfile, in order: [("FROM", "python:3.13"), ...]."""
    text = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text_of("Dockerfile"), flags=re.M))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def variables() -> dict[str, str]:
    return dict(pair.split("=", 1) for word, rest in instructions() if word == "ENV" for pair in shlex.split(rest))


def test_the_command_of_the_image_starts_the_service_in_a_folder_with_what_is_copied(tmp_path: Path) -> None:
    copied = [shlex.split(rest)[0] for word, rest in instructions() if word == "COPY"]
    assert copied == ["requirements.txt", "service.py"]  # the pins first: they change seldom
    for name in copied:
        (tmp_path / name).write_text(text_of(name), encoding="utf-8")
    (command,) = [json.loads(rest) for word, rest in instructions() if word == "CMD"]
    env = variables()
    assert (env["UVICORN_HOST"], env["UVICORN_PORT"]) == ("0.0.0.0", "8000")
    port = free_port()
    here = {"UVICORN_HOST": "127.0.0.1", "UVICORN_PORT": str(port), "DRAIN_SECONDS": "0"}  # all else as in the image
    scripts = sysconfig.get_path("scripts")
    search = {**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])}
    process = subprocess.Popen(command, cwd=tmp_path, env=search | env | here, stdout=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: answers(port), "an answer")
        assert status(f"http://127.0.0.1:{port}/ready") == 200
        (check,) = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
        probe = json.loads(check[check.index("[") :])
        assert probe[0] == "python"
        probe = [sys.executable, *[part.replace(":8000", f":{port}") for part in probe[1:]]]
        assert subprocess.run(probe, check=False, timeout=MINUTE).returncode == 0
        os.kill(process.pid, signal.SIGSTOP)  # the port is open, and nobody answers
        assert subprocess.run(probe, check=False, timeout=MINUTE, stderr=subprocess.DEVNULL).returncode == 1
        os.kill(process.pid, signal.SIGCONT)
    finally:
        process.terminate()
        written, _ = process.communicate(timeout=MINUTE)
    assert subprocess.run(probe, check=False, timeout=MINUTE, stderr=subprocess.DEVNULL).returncode == 1
    lines = [json.loads(line) for line in written.splitlines()]  # on stdout nothing else
    assert [line["message"] for line in lines] == ["started", *["request"] * (len(lines) - 2), "stopped"]


def test_the_image_gets_what_it_copies_and_no_more() -> None:
    allowed = [line for line in text_of(".dockerignore").splitlines() if line and not line.startswith("#")]
    copied = [shlex.split(rest)[0] for word, rest in instructions() if word == "COPY"]
    assert allowed == ["*", *[f"!{name}" for name in copied]]
    order = [word for word, _ in instructions()]
    assert order.index("RUN") < order.index("USER") < order.index("CMD")
    assert not re.search("secret|password|token|key", " ".join(variables()), re.I)


def test_its_pins_are_those_of_the_course_and_are_all_that_it_needs() -> None:
    pins = text_of("requirements.txt").splitlines()
    ours = (FOLDER.parents[1] / "requirements.txt").read_text(encoding="utf-8")
    for pin in pins:
        assert re.search(rf"^{re.escape(pin)}( |$)", ours, re.M), f"{pin} is not the version of requirements.txt"
    names = {pin.split("==")[0] for pin in pins}
    for name in names:
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if not needed.marker or needed.marker.evaluate({"extra": "", "python_version": "3.13"}):
                assert needed.name.lower().replace("_", "-") in names, f"{name} needs {needed.name}"


def settings(**env: str) -> dict[str, Any]:
    """gunicorn.conf.py as gunicorn reads it, with these variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WEB_CONCURRENCY", "DRAIN_SECONDS", "FINISH_SECONDS", "WORKER_MEGABYTES", "BIND"):
            patch.delenv(name, raising=False)
        for name, value in env.items():
            patch.setenv(name, value)
        read: dict[str, Any] = {"__name__": "gunicorn.conf"}
        exec(compile(text_of("gunicorn.conf.py"), "gunicorn.conf.py", "exec"), read)
        return read


def test_gunicorn_has_a_worker_a_core_and_fewer_where_the_memory_is_small() -> None:
    usual = settings()
    assert usual["workers"] == max(1, min(usual["cores"](), usual["memory"]() * 4 // 5 // (150 << 20)))
    most = usual["memory"]() * 4 // 5 >> 20
    assert settings(WORKER_MEGABYTES=str(most))["workers"] == 1
    assert settings(WORKER_MEGABYTES=str(10 * most))["workers"] == 1  # never none
    assert settings(WEB_CONCURRENCY="7")["workers"] == 7


@pytest.mark.parametrize(("share", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("max 100000", 0), ("", 0)])
def test_gunicorn_sees_the_share_of_its_container(share: str, cores: int) -> None:
    read = settings()
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    all_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    read["_read"] = {"/sys/fs/cgroup/cpu.max": share, "/sys/fs/cgroup/memory.max": "1000" if cores else "max"}.get
    assert (read["cores"](), read["memory"]()) == ((cores, 1000) if cores else (all_cores, machine))


def test_gunicorn_finds_its_file_and_knows_each_setting_in_it() -> None:
    command = [sys.executable, "-m", "gunicorn", "service:app", "--print-config"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False, timeout=MINUTE)
    assert done.returncode == 0, done.stderr
    used = dict(re.findall(r"^(\w+) += (.*)$", done.stdout, re.M))
    ours = settings()
    for name in (
        "keepalive", "graceful_timeout", "max_requests", "max_requests_jitter", "preload_app", "timeout", "workers",
        "worker_class", "control_socket_disable",
    ):  # fmt: skip
        assert used[name] == str(ours[name]), name


def in_a_container(monkeypatch: pytest.MonkeyPatch, share: str, limit: str) -> None:
    """8 cores and 16 GB, of which a container may use a `share` and `limit` bytes: as cgroup v2 tells it, in files."""
    files = {"/sys/fs/cgroup/cpu.max": share, "/sys/fs/cgroup/memory.max": limit}
    exists, read_text = Path.exists, Path.read_text
    monkeypatch.setattr(Path, "exists", lambda path: str(path) in files or exists(path))
    monkeypatch.setattr(
        Path, "read_text", lambda path, *how, **named: files.get(str(path)) or read_text(path, *how, **named)
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 4 << 20}.__getitem__)


@pytest.mark.parametrize(
    ("share", "limit", "env", "workers"),
    [
        ("max 100000", "max\n", {}, 8),
        ("400000 100000", "max", {}, 4),
        ("250000 100000", "max", {}, 2),
        ("50000 100000", "max", {}, 1),  # half a core is enough for one
        ("max 100000", str(1 << 30), {}, 5),  # four fifths of a GB hold five of 150 MB
        ("max 100000", str(1 << 30), {"WORKER_MEGABYTES": "50"}, 8),
        ("max 100000", str(64 << 20), {}, 1),  # never none
    ],
)
def test_workers_come_from_what_the_container_may_use(
    share: str, limit: str, env: dict[str, str], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_a_container(monkeypatch, share, limit)
    assert settings(**env)["workers"] == workers


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("timeout = 30", "timeout = 'soon'"),
        ("keepalive = ", "keepalive = -"),
        ("def post_fork(_: object, ", "def post_fork("),
    ],
)
def test_gunicorn_refuses_a_broken_file(right: str, wrong: str, tmp_path: Path) -> None:
    text = text_of("gunicorn.conf.py")
    assert right in text
    (tmp_path / "gunicorn.conf.py").write_text(text.replace(right, wrong), encoding="utf-8")
    (tmp_path / "service.py").write_text(text_of("service.py"), encoding="utf-8")
    command = [sys.executable, "-m", "gunicorn", "--check-config", "service:app"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=MINUTE)
    assert done.returncode != 0
    assert done.stderr


def seconds(text: str, pattern: str) -> float:
    found = re.findall(pattern, text)
    assert len(found) == 1, f"{pattern}: {found}"
    return float(found[0])


def test_the_times_of_all_files_agree() -> None:
    """preStop, drain, finish and the proxies' times are spread over five files: here they meet."""
    ours, proxy = service.Settings(), text_of("nginx.conf")
    drain, finish = ours.drain_seconds, ours.finish_seconds
    conf = settings()
    assert (conf["drain"], conf["finish"]) == (drain, finish)
    assert drain + finish < conf["graceful_timeout"]
    assert finish < conf["timeout"]  # a worker that finishes sends no sign of life

    idle = seconds(proxy, r"keepalive_timeout (\d+)s;  # for less")
    assert idle < drain  # every idle connection to it is closed, or has seen `Connection: close`, before it stops
    (command,) = [json.loads(rest) for word, rest in instructions() if word == "CMD"]
    for kept in (conf["keepalive"], int(command[command.index("--timeout-keep-alive") + 1])):
        assert idle < kept
    assert {float(one) for one in re.findall(r"fail_timeout=(\d+)s", proxy)} == {1.0}
    assert drain > 2  # nginx counts whole seconds: it leaves a server out for up to one more

    compose = yaml.safe_load(text_of("compose.yaml"))["services"]
    for name in ("one", "two"):
        env = compose[name]["environment"]
        assert (float(env["DRAIN_SECONDS"]), float(env["FINISH_SECONDS"])) == (drain, finish)
        assert float(compose[name]["stop_grace_period"].rstrip("s")) > drain + finish
        nginx_address = compose["nginx"]["networks"]["default"]["ipv4_address"]
        assert env["FORWARDED_ALLOW_IPS"] == nginx_address
    assert re.findall(r"server (\w+):(\d+)", proxy) == [("one", "8000"), ("two", "8000")]
    assert compose["nginx"]["ports"] == ["8080:" + str(int(seconds(proxy, r"listen (\d+);")))]
    assert not any("ports" in compose[name] for name in ("one", "two", "redis"))

    deployment, balanced, budget = yaml.safe_load_all(text_of("kubernetes.yaml"))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {one["name"]: one.get("value") for one in container["env"]}
    assert (float(env["DRAIN_SECONDS"]), float(env["FINISH_SECONDS"])) == (drain, finish)
    before = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > before + drain + finish
    ready = container["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] < drain
    paths = {route.path for route in service.app.routes if hasattr(route, "path")}
    for probe, path in {"readinessProbe": "/ready", "livenessProbe": "/live", "startupProbe": "/live"}.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
        assert path in paths
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"http": int(variables()["UVICORN_PORT"])}
    assert {one["targetPort"] for one in balanced["spec"]["ports"]} == {"http"}
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (
        balanced["spec"]["selector"],
        *[one["spec"]["selector"]["matchLabels"] for one in (deployment, budget)],
    ):
        assert selector == labels
    user = [rest for word, rest in instructions() if word == "USER"]
    assert user == [f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"]
    known = {name.upper() for name in service.Settings.model_fields} | {"FORWARDED_ALLOW_IPS"}
    assert set(env) | set(compose["one"]["environment"]) <= known


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("kubernetes.yaml", "terminationGracePeriodSeconds: 25", "terminationGracePeriodSeconds: 18"),
        ("kubernetes.yaml", "periodSeconds: 2", "periodSeconds: 3"),
        ("kubernetes.yaml", "path: /ready", "path: /live"),
        ("kubernetes.yaml", "containerPort: 8000", "containerPort: 8080"),
        ("kubernetes.yaml", 'DRAIN_SECONDS, value: "5"', 'DRAIN_SECONDS, value: "1"'),
        ("kubernetes.yaml", "name: FINISH_SECONDS", "name: FINISH_SECOND"),
        ("kubernetes.yaml", "runAsUser: 10001", "runAsUser: 1000"),
        ("compose.yaml", "stop_grace_period: 20s", "stop_grace_period: 10s"),
        ("compose.yaml", "FORWARDED_ALLOW_IPS: 172.30.0.10", 'FORWARDED_ALLOW_IPS: "*"'),
        ("compose.yaml", "one:  #", "three:  #"),
        ("nginx.conf", "keepalive_timeout 1s", "keepalive_timeout 60s"),
        ("nginx.conf", "listen 8080;", "listen 80;"),
        ("gunicorn.conf.py", "keepalive = 75", "keepalive = 1"),
        ("gunicorn.conf.py", "timeout = 30", "timeout = 5"),
        ("gunicorn.conf.py", "drain + finish + 5", "30 - drain - finish"),
        ("Dockerfile", '"--timeout-keep-alive", "75"', '"--timeout-keep-alive", "1"'),
        ("Dockerfile", "UVICORN_PORT=8000", "UVICORN_PORT=80"),
    ],
)
def test_a_disagreement_is_noticed(
    name: str, right: str, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = text_of(name)
    assert right in text
    shutil.copytree(FOLDER, tmp_path / "copy")
    (tmp_path / "copy" / name).write_text(text.replace(right, wrong, 1), encoding="utf-8")
    monkeypatch.setitem(globals(), "FOLDER", tmp_path / "copy")
    with pytest.raises((AssertionError, KeyError)):
        test_the_times_of_all_files_agree()
