"""A redis-server of the tests' own, which they may stop, start again, and make hang."""

import shutil
import socket
import subprocess
import time
from pathlib import Path

import psutil

PROGRAM = shutil.which("redis-server")
ABSENT = "redis-server is not installed: `apt-get install redis-server` or `brew install redis`"


class RealRedis:
    """Listens on a free port of 127.0.0.1, the same after every start. Keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert PROGRAM
        assert self._process is None
        command = [PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.02)

    def hang(self) -> None:
        """Connections are accepted, by the system, and nothing is ever answered."""
        assert self._process
        psutil.Process(self._process.pid).suspend()

    def go_on(self) -> None:
        assert self._process
        psutil.Process(self._process.pid).resume()

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
