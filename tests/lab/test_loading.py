import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import lab.loading
from lab.loading import LoadError, load
from tests.lab.live_kernel import LiveKernel

ROOT = Path(__file__).parents[2]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

# A certificate for localhost and its key, made for these tests alone
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg75I6AJviSysZboDa
sh4N3Jvq3DtAzOTEbYcacB3IibChRANCAAQSrLrH90xAVKl2mruntAMM5di79qLz
RBFqHutaHcZhGxg8Vn84pnauHSFi2VCDqXMYSh1qQxrcg0YOFjOjn7d0
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBfjCCASWgAwIBAgIUdYlLTunzBRU+hcDX1sTiOtv8rJUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNDA3MDMzM1oYDzIxMjYxMDMx
MDcwMzMzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQSrLrH90xAVKl2mruntAMM5di79qLzRBFqHutaHcZhGxg8Vn84pnau
HSFi2VCDqXMYSh1qQxrcg0YOFjOjn7d0o1MwUTAdBgNVHQ4EFgQU6SCFEZ78uMPi
Z78S4ZXG1hXxeDQwHwYDVR0jBBgwFoAU6SCFEZ78uMPiZ78S4ZXG1hXxeDQwDwYD
VR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBBfw9ouNLiBi533qW3REJ6
adB4sqcBEAaJzTCc4hhRtgIge4VLiXn1m+4majyFqXUGA4gfgk+clv8WOvHg/MVn
DeU=
-----END CERTIFICATE-----
"""

Behaviour = Callable[[socket.socket], object]


class Misbehaving:
    """A server on 127.0.0.1 that does whatever it is told with each connection, in a thread each."""

    def __init__(self, behave: Behaviour, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=256)
        self._behave, self._tls = behave, tls
        self._open: list[socket.socket] = []
        scheme, name = "https" if tls else "http", f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{name}:{self._listener.getsockname()[1]}/"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def connections(self) -> int:
        return len(self._open)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                if self._tls:
                    connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self._behave(connection)

    def die(self) -> None:
        """Closes the listening socket and every connection."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def stop(self) -> None:
        self.die()
        for thread in self._threads:
            thread.join(5)


@pytest.fixture
def served() -> Iterator[Callable[..., Misbehaving]]:
    servers = []

    def serve(behave: Behaviour, *args: Any, **kwargs: Any) -> Misbehaving:
        servers.append(Misbehaving(behave, *args, **kwargs))
        return servers[-1]

    yield serve
    for server in servers:
        server.stop()


Served = Callable[..., Misbehaving]


def request(connection: socket.socket) -> bytes:
    """The head of the next request; nothing when the client has left."""
    head = b""
    while b"\r\n\r\n" not in head and (data := connection.recv(65536)):
        head += data
    return head


def answering(*answers: bytes) -> Behaviour:
    """Answers every request with these bytes, and keeps the connection."""

    def behave(connection: socket.socket) -> None:
        while request(connection):
            for answer in answers:
                connection.sendall(answer)

    return behave


def closing(answer: bytes) -> Behaviour:
    """Answers one request with these bytes, and closes."""

    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(answer)

    return behave


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def resetting(connection: socket.socket) -> None:
    request(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def half_closing(connection: socket.socket) -> None:
    request(connection)
    connection.shutdown(socket.SHUT_WR)
    silent(connection)


def test_every_request_is_answered_over_as_many_connections_as_asked_for(served: Served) -> None:
    everyone = threading.Barrier(8)

    def behave(connection: socket.socket) -> None:
        everyone.wait(10)  # nobody is answered before all eight are here
        answering(OK)(connection)

    server = served(behave)
    loaded = load(server.url, requests=200, concurrency=8)
    assert repr(loaded) == "200 answered: 200 x 200"
    assert loaded.answered == 200
    assert loaded.statuses == {200: 200}
    assert not loaded.errors
    assert loaded.unfinished == 0
    assert server.connections == 8


def test_times_are_those_of_the_requests(served: Served) -> None:
    loaded = load(served(answering(OK)).url, requests=50, concurrency=5)
    assert len(loaded.spans) == 50
    assert loaded.spans == sorted(loaded.spans)
    assert all(0 <= start <= end <= loaded.seconds for start, end in loaded.spans)
    longest = max(end - start for start, end in loaded.spans)
    assert loaded.latency["max"] == pytest.approx(longest)
    assert 0 < loaded.latency["p50"] <= loaded.latency["p90"] <= loaded.latency["p99"] <= loaded.latency["max"]
    assert 0 < loaded.latency["mean"] <= loaded.latency["max"]
    assert loaded.rate == pytest.approx(50 / loaded.seconds)


def test_fewer_requests_than_clients_are_still_all_sent(served: Served) -> None:
    server = served(answering(OK))
    assert load(server.url, requests=3, concurrency=50).answered == 3
    assert server.connections == 3


def test_statuses_are_counted_apart(served: Served) -> None:
    numbers = iter(range(4))

    def behave(connection: socket.socket) -> None:
        while request(connection):
            status = b"503 Busy" if next(numbers) % 2 else b"204 None"
            connection.sendall(b"HTTP/1.1 %b\r\n%b\r\n" % (status, b"content-length: 0\r\n" * (b"503" in status)))

    loaded = load(served(behave).url, requests=4, concurrency=1)
    assert repr(loaded) == "4 answered: 2 x 204, 2 x 503"


@pytest.mark.parametrize(
    "behave",
    [
        answering(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n"),
        answering(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", OK),
        answering(*(OK[i : i + 1] for i in range(len(OK)))),
        answering(b"HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n", b"x" * 3_000_000),
        closing(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"),
        closing(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        closing(b"HTTP/1.1 200 OK\r\n\r\nas long as the connection lasts"),
    ],
    ids=["chunked", "early hints", "byte by byte", "large", "connection: close", "HTTP/1.0", "until the end"],
)
def test_an_answer_may_end_in_any_way_that_http_allows(served: Served, behave: Behaviour) -> None:
    assert repr(load(served(behave).url, requests=4, concurrency=2)) == "4 answered: 4 x 200"


@pytest.mark.parametrize(
    ("behave", "kind"),
    [
        (closing(b""), "disconnected"),
        (half_closing, "disconnected"),
        (resetting, "reset"),
        (closing(b"no http\r\n\r\n"), "garbage"),
        (answering(OK + OK), "garbage"),
        (closing(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok"), "incomplete"),
        (closing(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "incomplete"),
        (silent, "timeout"),
    ],
)
def test_what_goes_wrong_is_counted_by_kind(served: Served, behave: Behaviour, kind: str) -> None:
    server = served(behave)
    loaded = load(server.url, requests=4, concurrency=2, timeout=0.3 if behave is silent else 10)
    assert repr(loaded) == f"0 answered; 4 {kind}"
    assert loaded.errors == {kind: 4}
    assert server.connections == 4
    assert loaded.spans == []
    assert all(value != value for value in loaded.latency.values())  # nan


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def test_nobody_there_is_counted_as_refused() -> None:
    assert repr(load(f"http://127.0.0.1:{free_port()}", requests=4)) == "0 answered; 4 refused"


def test_a_server_that_dies_midway_leaves_a_result(served: Served) -> None:
    answered = iter(range(20))

    def behave(connection: socket.socket) -> None:
        while request(connection):
            if next(answered, None) is None:
                server.die()
            connection.sendall(OK)

    server = served(behave)
    loaded = load(server.url, requests=40, concurrency=4)
    assert loaded.statuses == {200: 20}
    assert loaded.errors.total() == 20
    assert set(loaded.errors) <= {"refused", "reset", "disconnected"}
    assert loaded.errors["refused"] > 0


def test_what_is_not_finished_when_the_time_is_up_is_told(served: Served) -> None:
    served_once = iter([OK])

    def behave(connection: socket.socket) -> None:
        request(connection)
        connection.sendall(next(served_once, b""))
        silent(connection)

    loaded = load(served(behave).url, requests=50, concurrency=1, within=0.3)
    assert repr(loaded) == "1 answered: 1 x 200; 49 unfinished"
    assert loaded.seconds < 3


def test_when_the_time_is_up_every_connection_is_closed(served: Served) -> None:
    closed = threading.Barrier(4, timeout=10)

    def behave(connection: socket.socket) -> None:
        silent(connection)
        closed.wait()

    assert load(served(behave).url, requests=3, concurrency=3, within=0.3).unfinished == 3
    closed.wait()


def test_redirects_are_counted_not_followed(served: Served) -> None:
    elsewhere = served(answering(OK))
    location = b"HTTP/1.1 302 Found\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % elsewhere.url.encode()
    assert repr(load(served(answering(location)).url, requests=2)) == "2 answered: 2 x 302"
    assert elsewhere.connections == 0


def test_what_is_sent_is_what_was_asked_for(served: Served) -> None:
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        data = request(connection)
        while data.count(b'"') < 4:
            data += connection.recv(65536)
        heard.append(data)
        connection.sendall(OK)

    url = served(behave).url + "a path/ä?q=1&r=%20é#fragment".replace(" ", "%20")
    load(url, requests=1, method="post", headers={"X-Token": "secret"}, json={"say": "hi"})
    head, _, body = heard[0].partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert line == "POST /a%20path/%C3%A4?q=1&r=%20%C3%A9 HTTP/1.1"
    assert sorted(headers) == [
        f"content-length: {len(body)}",
        "content-type: application/json",
        f"host: {url.split('/')[2]}",
        "x-token: secret",
    ]
    assert json.loads(body) == {"say": "hi"}


def test_https_is_driven_without_a_known_certificate(served: Served, tmp_path: Path) -> None:
    pem = tmp_path / "localhost.pem"
    pem.write_text(CERTIFICATE)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pem)
    assert repr(load(served(answering(OK), tls=tls).url, requests=6, concurrency=2)) == "6 answered: 6 x 200"


def test_https_to_a_server_that_speaks_http_is_counted_as_tls(served: Served) -> None:
    server = served(lambda connection: (connection.recv(9), connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")))
    assert repr(load(server.url.replace("http", "https"), requests=2)) == "0 answered; 2 tls"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_the_loopback_of_ipv6_and_the_name_localhost_are_this_machine(served: Served) -> None:
    server = served(answering(OK))
    assert load(server.url.replace("127.0.0.1", "localhost"), requests=1).answered == 1
    try:
        server = served(answering(OK), "::1")
    except OSError:
        pytest.skip("this machine has no ::1")
    assert load(server.url, requests=1).answered == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://0.0.0.0:8000/",
        "http://192.168.1.1",
        "https://fastapi.tiangolo.com/",
        "http://localhost.example.org/",
        "http://127.0.0.1.example.org/",
        "http://[2001:db8::1]/",
        "http://2130706433/",
    ],
)
def test_another_machine_is_refused_in_one_line_before_anything_is_sent(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.loading, "_warm", pytest.fail)
    with pytest.raises(LoadError, match=r"^load stays on this machine: \S+ is not a loopback address such as 127"):
        load(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://127.0.0.1/",
        "http://",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1@example.org/",
        "http://[::1%lo]/",
        "http://127.0.0.1\\@example.org/",
        "http://127.0.0.1/\r\nx: y",
        "http://[::1",
        None,
        8000,
    ],
)
def test_what_is_no_address_is_refused_in_one_line(url: Any) -> None:
    with pytest.raises(LoadError, match=r"^load needs an address such as http://127\.0\.0\.1:8000/, not .*$"):
        load(url)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"requests": 0}, "requests must be a whole number from 1 to 200,000, not 0"),
        ({"requests": 200_001}, "requests must be a whole number from 1 to 200,000, not 200001"),
        ({"requests": 1.5}, "requests must be a whole number from 1 to 200,000, not 1.5"),
        ({"requests": True}, "requests must be a whole number from 1 to 200,000, not True"),
        ({"concurrency": 1001}, "concurrency must be a whole number from 1 to 1,000, not 1001"),
        ({"concurrency": "9"}, "concurrency must be a whole number from 1 to 1,000, not '9'"),
        ({"timeout": 0}, "timeout must be a number of seconds above 0 and up to 120, not 0"),
        ({"timeout": None}, "timeout must be a number of seconds above 0 and up to 120, not None"),
        ({"within": 121}, "within must be a number of seconds above 0 and up to 120, not 121"),
        ({"within": float("nan")}, "within must be a number of seconds above 0 and up to 120, not nan"),
        ({"method": "BREW"}, "method must be one of GET, POST, PUT, PATCH, DELETE, OPTIONS, not 'BREW'"),
        ({"method": None}, "method must be one of GET, POST, PUT, PATCH, DELETE, OPTIONS, not None"),
        ({"headers": ["a"]}, "headers must be a dict of str to str, not ['a']"),
        ({"headers": {"a b": "c"}}, "'a b' is not a header's name"),
        ({"headers": {"a": "b\r\nc: d"}}, "the header a must have a str of one line, not 'b\\r\\nc: d'"),
        ({"headers": {"a": 1}}, "the header a must have a str of one line, not 1"),
        ({"json": {1, 2}}, "json: Object of type set is not JSON serializable"),
    ],
)
def test_a_value_out_of_its_bounds_is_one_readable_line(wrong: dict[str, Any], line: str) -> None:
    with pytest.raises(LoadError) as caught:
        load("http://127.0.0.1:9/", **wrong)
    assert str(caught.value) == line


def test_nothing_is_shown_outside_of_a_notebook(served: Served, capfd: pytest.CaptureFixture[str]) -> None:
    load(served(answering(OK)).url, requests=10)
    assert capfd.readouterr() == ("", "")


def test_a_killed_worker_is_one_readable_line_and_the_next_load_works(served: Served) -> None:
    def behave(connection: socket.socket) -> None:
        request(connection)
        psutil.Process(lab.loading._warm().pid).kill()
        silent(connection)

    with pytest.raises(LoadError, match=r"^the process that drives the load ended \(.*\); the next load starts a new"):
        load(served(behave).url, requests=2, concurrency=1)
    assert load(served(answering(OK)).url, requests=2).answered == 2


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.strip()


def test_a_proxy_in_the_environment_is_not_used(served: Served) -> None:
    proxy, server = served(answering(OK)), served(answering(OK))
    said = run(
        f"from lab import load; print(load({server.url!r}, requests=3))",
        **dict.fromkeys(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"], proxy.url),
    )
    assert said == "3 answered: 3 x 200"
    assert proxy.connections == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_limit_of_open_files_that_is_too_low_is_one_readable_line(served: Served) -> None:
    said = run(
        f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
from lab import load
print(load({served(answering(OK)).url!r}, requests=20, concurrency=20))
try:
    load("http://127.0.0.1:9/", concurrency=90)
except Exception as error:
    print(error)
"""
    )
    assert said.splitlines() == [
        "20 answered: 20 x 200",
        "concurrency=90 needs 122 open files and the limit is 64: lower it, or run `ulimit -n 4096` before `make lab`",
    ]


@pytest.fixture(scope="module")
def kernel() -> Iterator[LiveKernel]:
    kernel = LiveKernel()
    kernel.run(f"import os; os.chdir({str(ROOT)!r}); import sys; sys.path.insert(0, {str(ROOT)!r})")
    kernel.run("from lab import load; import lab.loading")
    yield kernel
    kernel.stop()


def displays(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    kinds = ("display_data", "update_display_data")
    return [message["content"]["data"] for message in messages if message["msg_type"] in kinds]


def test_a_notebook_sees_one_bar_whose_words_do_not_change(kernel: LiveKernel, served: Served) -> None:
    once = iter([b""])

    def behave(connection: socket.socket) -> None:
        answering(OK)(connection) if next(once, None) is None else silent(connection)

    messages = kernel.run(f"loaded = load({served(behave).url!r}, requests=60, concurrency=60, timeout=1)")
    kinds = [message["msg_type"] for message in messages if "display_data" in message["msg_type"]]
    assert kinds == ["display_data"] + ["update_display_data"] * (len(kinds) - 1)
    assert len(kinds) >= 3  # the beginning, the way, the end
    bars = displays(messages)
    assert {bar["text/plain"] for bar in bars} == {"60 requests, 60 at a time"}
    htmls = [bar["text/html"] for bar in bars]
    assert re.fullmatch(r'<progress max="60" value="0" aria-label="[^"]+"></progress> 0 of 60', htmls[0])
    assert 'value="59"' in htmls[1]
    assert htmls[-1].endswith("</progress> 59 answered: 59 x 200; 1 timeout")
    assert (
        len({message["content"]["transient"]["display_id"] for message in messages if "data" in message["content"]})
        == 1
    )


def test_the_last_expression_of_a_cell_reads_as_counts(kernel: LiveKernel, served: Served) -> None:
    messages = kernel.run(f"load({served(answering(OK)).url!r}, requests=1, concurrency=9)")
    plain = [message["content"]["data"]["text/plain"] for message in messages if "data" in message["content"]]
    assert (plain[0], plain[-1]) == ("1 request, 1 at a time", "1 answered: 1 x 200")


def test_a_refusal_is_one_line_in_a_notebook(kernel: LiveKernel) -> None:
    (error,) = [m["content"] for m in kernel.run("load('http://10.0.0.1/')") if m["msg_type"] == "error"]
    assert error["traceback"] == [
        "LoadError: load stays on this machine: 10.0.0.1 is not a loopback address such as 127.0.0.1"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts by signal")
def test_an_interrupted_load_leaves_nothing_behind_and_the_next_one_works(kernel: LiveKernel, served: Served) -> None:
    closed = threading.Barrier(4, timeout=10)
    pid = int(kernel.run("print(os.getpid())")[-1]["content"]["text"])

    everyone = threading.Barrier(3, action=lambda: os.kill(pid, signal.SIGINT), timeout=10)

    def behave(connection: socket.socket) -> None:
        request(connection)
        everyone.wait()
        silent(connection)
        closed.wait()

    messages = kernel.run(f"load({served(behave).url!r}, requests=3, concurrency=3)")
    assert [m["content"]["ename"] for m in messages if m["msg_type"] == "error"] == ["KeyboardInterrupt"]
    assert displays(messages)[-1]["text/html"].endswith("</progress> stopped")
    closed.wait()  # the worker's three connections are gone
    assert psutil.Process(pid).children() == []
    again = kernel.run(f"print(load({served(answering(OK)).url!r}, requests=3))")
    assert again[-1]["content"]["text"] == "3 answered: 3 x 200\n"
