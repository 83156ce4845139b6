import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import create_connection, create_server
from typing import Any

import httpx
import psutil
import pytest

from lab.launching import LaunchError, launch

ROOT = Path(__file__).parents[2]

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path[1:] or 404))
        self.end_headers()
        self.wfile.write(f"{os.environ.get('WORD')} {os.getcwd()}".encode())
print("serving", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
PLAIN = ["python", "-c", SERVER, "{port}"]

APPS = """
async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"asgi"})

def wsgi(environ, start_response):
    start_response("200 OK", [])
    return [b"wsgi"]
"""
UVICORN = ["uvicorn", "launched_apps:asgi", "--port", "{port}", "--workers", "2"]
WAITRESS = ["waitress-serve", "--listen", "127.0.0.1:{port}", "launched_apps:wsgi"]


with create_server(("127.0.0.1", 0)) as probe:
    TAKEN_BY_NOBODY: int = probe.getsockname()[1]


@pytest.fixture
def apps(tmp_path: Path) -> Path:
    (tmp_path / "launched_apps.py").write_text(APPS)
    return tmp_path


def refusal(command: list[str], **arguments: Any) -> str:
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(LaunchError) as caught:
        launch(command, **arguments)
    assert caught.value._render_traceback_() == [f"LaunchError: {caught.value}"]
    assert "\n" not in str(caught.value)
    assert set(psutil.Process().children(recursive=True)) <= before
    return str(caught.value)


def all_gone(processes: list[psutil.Process], seconds: float = 10) -> bool:
    return not psutil.wait_procs(processes, timeout=seconds)[1]


def is_refused(url: str) -> bool:
    try:
        create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(("command", "body"), [(UVICORN, "asgi"), (WAITRESS, "wsgi")], ids=["uvicorn", "waitress"])
def test_a_command_of_this_environment_serves_and_leaves_nothing(
    apps: Path, command: list[str], body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.defpath)  # as where the environment is not activated
    with launch(command, cwd=apps) as launched:
        assert httpx.get(launched.url).text == body
        processes = launched.processes()
        assert len(processes) >= (3 if command is UVICORN else 1)
        assert command[0] in " ".join(processes[0].cmdline())
        assert not any("guard.py" in " ".join(process.cmdline()) for process in processes)
        assert repr(launched) == "<Launched running>"
    assert all_gone(processes, 0)
    assert is_refused(launched.url)
    assert launched.processes() == []
    assert repr(launched) == "<Launched stopped>"


def test_any_status_is_an_answer_and_env_cwd_and_log_reach_the_command(tmp_path: Path) -> None:
    with launch(PLAIN, ready="/503", env={"WORD": "hello"}, cwd=tmp_path) as launched:
        assert "serving" in launched.log
        assert "503" in launched.log
        response = httpx.get(launched.url + "/201")
        assert response.status_code == 201
        assert response.text == f"hello {tmp_path.resolve()}"
        assert "/201" in launched.log
    assert "/201" in launched.log
    launched.stop()


ECHO = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = listener.accept()
    while received := connection.recv(100):
        connection.sendall(received)
"""


def test_a_server_that_speaks_no_http_is_ready_when_it_accepts_a_connection() -> None:
    with launch(["python", "-c", ECHO, "{port}"], ready=None) as launched:
        address = httpx.URL(launched.url)
        assert address.scheme == "tcp"
        with create_connection((address.host, address.port or 0), timeout=5) as connection:
            connection.sendall(b"hello")
            assert connection.recv(100) == b"hello"
    assert "exit code 3" in refusal(["python", "-c", "raise SystemExit(3)", "{port}"], ready=None)


def test_launching_again_under_a_name_stops_the_first() -> None:
    first = launch(PLAIN, name="mine")
    processes = first.processes()
    with launch(PLAIN, name="mine") as second:
        assert all_gone(processes, 0)
        assert (repr(first), repr(second)) == ("<Launched mine stopped>", "<Launched mine running>")
        first.stop()
        assert httpx.get(second.url).status_code == 404


def test_a_command_can_be_started_again_on_its_port() -> None:
    for _ in range(2):  # the second time its last connections linger
        with launch(PLAIN, port=TAKEN_BY_NOBODY) as server:
            assert server.url == f"http://127.0.0.1:{TAKEN_BY_NOBODY}"
            assert httpx.get(server.url + "/200").status_code == 200


def test_a_port_that_is_taken_is_one_readable_line() -> None:
    with launch(PLAIN) as server:
        port = int(server.url.rpartition(":")[2])
        assert refusal(PLAIN, port=port) == f"port {port} is taken: stop what listens there, or let launch choose one"


def test_a_config_has_the_port_and_lies_in_a_folder_that_goes_with_the_command() -> None:
    reads = ["python", "-c", SERVER.replace("int(sys.argv[1])", "int(open(sys.argv[1]).read())"), "{config}"]
    with launch(reads, config="{port}", env={"WORD": "read"}) as server:
        word, folder = httpx.get(server.url + "/200").text.split(" ", 1)
        assert word == "read"
        assert Path(folder, "config").read_text() == server.url.rpartition(":")[2]
    assert not Path(folder).exists()


def test_a_lost_handle_ends_its_processes() -> None:
    processes = launch(PLAIN).processes()
    gc.collect()
    assert processes
    assert all_gone(processes)


def test_an_error_in_the_block_ends_the_processes() -> None:
    launched = launch(PLAIN)
    processes = launched.processes()
    with pytest.raises(ZeroDivisionError), launched:
        _ = 1 / 0
    assert all_gone(processes, 0)


def test_a_command_that_does_not_exist_is_one_readable_line() -> None:
    assert refusal(["no-such-server", "{port}"]).startswith('there is no command "no-such-server" here')


def test_a_command_without_a_port_is_one_readable_line() -> None:
    assert refusal(["uvicorn", "app:app"]).startswith('the command has no "{port}"')
    assert refusal([]).startswith('the command has no "{port}"')


def test_a_folder_that_does_not_exist_is_one_readable_line(tmp_path: Path) -> None:
    assert refusal(PLAIN, cwd=tmp_path / "away") == f'there is no folder "{tmp_path / "away"}" to start the command in'


def test_a_command_that_ends_is_one_readable_line_with_its_code_and_last_word() -> None:
    assert refusal(["python", "-c", "print('first'); print('last'); exit(7)", "{port}"]) == (
        "python ended with exit code 7: last"
    )
    assert refusal(["python", "-c", "", "{port}"]) == "python ended with exit code 0, and wrote nothing"


def test_a_command_that_does_not_answer_is_one_readable_line() -> None:
    began = time.perf_counter()
    line = refusal(["python", "-c", "import time; print('dreaming', flush=True); time.sleep(60)", "{port}"], seconds=1)
    assert line == "python did not answer within 1 s: dreaming"
    assert time.perf_counter() - began < 5


def test_a_command_that_accepts_but_never_answers_is_bounded() -> None:
    silent = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"
    assert "did not answer within 1 s" in refusal(["python", "-c", silent, "{port}"], seconds=1)


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 3:
    time.sleep(600)
subprocess.Popen([sys.executable, __file__, sys.argv[1], "a child that ignores SIGTERM"])
exec(os.environ["SERVER"])
"""

DAEMON = """
import os, sys
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
exec(os.environ["SERVER"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to ignore")
def test_processes_that_will_not_end_are_ended(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(STUBBORN)
    launched = launch(["python", str(tmp_path / "stubborn.py"), "{port}"], env={"SERVER": SERVER})
    processes = launched.processes()
    assert len(processes) == 2
    launched.stop()
    assert all_gone(processes, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives orphans back to the guard")
def test_a_command_that_becomes_a_daemon_is_kept_and_ended(tmp_path: Path) -> None:
    (tmp_path / "daemon.py").write_text(DAEMON)
    launched = launch(["python", str(tmp_path / "daemon.py"), "{port}"], env={"SERVER": SERVER})
    time.sleep(0.5)  # the guard looks every 0.2 s whether anything is left
    assert httpx.get(launched.url).status_code == 404
    processes = launched.processes()
    assert len(processes) == 1
    launched.stop()
    assert all_gone(processes, 0)


KERNEL = """
import json, sys, time
from lab.launching import launch
held = [launch(command, cwd=sys.argv[2]) for command in json.loads(sys.argv[1])]
print(json.dumps([process.pid for each in held for process in each.processes()]), flush=True)
time.sleep(600)
"""


@pytest.fixture
def kernel(apps: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-c", KERNEL, json.dumps([UVICORN, WAITRESS]), str(apps)], cwd=ROOT, stdout=subprocess.PIPE
    )
    with process:
        yield process
        process.kill()


def test_nothing_outlives_a_kernel_that_is_killed(kernel: subprocess.Popen[bytes]) -> None:
    assert kernel.stdout
    processes = [psutil.Process(pid) for pid in json.loads(kernel.stdout.readline())]
    guards = psutil.Process(kernel.pid).children()
    assert len(processes) >= 4  # a master, two workers, a waitress
    assert len(guards) == 2
    kernel.kill()  # SIGKILL: nothing of the kernel's own can clean up
    assert all_gone([*processes, *guards])
