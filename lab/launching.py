"""Servers in processes of their own: started, waited for, logged, and ended with everything that they started."""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import weakref
from pathlib import Path
from types import TracebackType

import psutil

from lab.errors import LabError

GUARD = Path(__file__).with_name("guard.py")


class LaunchError(LabError):
    """A command did not become a server that answers."""


class Launched:
    """A running command. `stop` it, use it in a `with` block, or let go of it: a lost handle ends its processes.

    `url` is its address, such as http://127.0.0.1:12345, or tcp://127.0.0.1:12345 where it was not asked by HTTP.
    """

    def __init__(self, process: "_Guarded", url: str, name: str | None) -> None:
        self.url = url
        self._name = name
        self._process = process
        self._running = True
        self._lost = weakref.finalize(self, process.let_go)
        self._lost.atexit = False  # the end of this process closes the guard's pipe, and that is enough

    @property
    def log(self) -> str:
        """What the command has written so far, to stdout and stderr."""
        return self._process.log

    def processes(self) -> list[psutil.Process]:
        """Every living process of the command: itself first, then what it started. Empty once stopped."""
        return self._process.tree()

    def stop(self) -> None:
        """Asks the processes to end, and ends those that have not after 3 s. Safe to call again."""
        if not self._running:
            return
        self._running = False
        self._lost.detach()
        if _named.get(self._name) is self:
            del _named[self._name]
        self._process.stop()

    def __enter__(self) -> "Launched":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<Launched {self._name or ''}{' ' if self._name else ''}{'running' if self._running else 'stopped'}>"


_named: dict[str | None, Launched] = {}


def launch(
    command: list[str],
    *,
    ready: str | None = "/",
    name: str | None = None,
    port: int = 0,
    config: str | None = None,
    env: dict[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    seconds: float = 15,
) -> Launched:
    """Starts `command` and waits until a GET of `ready` is answered, with whatever status. What speaks no HTTP, such as
    a Redis server, has `ready=None`: it is waited for until it accepts a connection.

    "{port}" in an argument becomes a free port, or `port`: tell the command to listen there, on 127.0.0.1. The command
    is looked for in this environment first, then on PATH. `env` is added to this process's environment. Launching again
    under a name stops the previous command of that name first.

    `config` is the text of a file that the command reads, in which "{port}" is the port too. "{config}" in an argument
    becomes its path. It lies in a folder of its own, where the command runs unless `cwd` names another.

    Raises LaunchError, one line: no such command, no "{port}", a command that ends, or does not answer in `seconds`,
    a `port` that is taken.
    """
    if not any("{port}" in text for text in [*command, config or ""]):
        raise LaunchError('the command has no "{port}": write it where the server is told its port')
    environment = {**os.environ, **(env or {})}
    environment["PATH"] = os.pathsep.join([sysconfig.get_path("scripts"), environment.get("PATH", os.defpath)])
    program = shutil.which(command[0], path=environment["PATH"])
    if program is None:
        raise LaunchError(f'there is no command "{command[0]}" here: is its package installed in this environment?')
    if cwd is not None and not Path(cwd).is_dir():
        raise LaunchError(f'there is no folder "{cwd}" to start the command in')
    if name in _named:
        _named[name].stop()
    port = _free_port(port)
    arguments = [program, *(argument.replace("{port}", str(port)) for argument in command[1:])]
    folder = None
    if config is not None:
        folder = tempfile.TemporaryDirectory(prefix="launched-", ignore_cleanup_errors=True)
        file = Path(folder.name, "config")
        file.write_text(config.replace("{port}", str(port)), encoding="utf-8")
        arguments, cwd = [argument.replace("{config}", str(file)) for argument in arguments], cwd or folder.name
    process = _Guarded(arguments, environment, cwd, folder)
    try:
        _await_answer(process, command[0], port, ready, seconds)
    except BaseException:
        process.stop()
        raise
    launched = Launched(process, f"{'tcp' if ready is None else 'http'}://127.0.0.1:{port}", name)
    if name:
        _named[name] = launched
    return launched


def _free_port(wanted: int) -> int:
    with socket.socket() as probe:
        if sys.platform != "win32":  # there it would share a port that is in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port whose last connections linger is free
        try:
            probe.bind(("127.0.0.1", wanted))
        except (OSError, OverflowError):
            raise LaunchError(f"port {wanted} is taken: stop what listens there, or let launch choose one") from None
        port: int = probe.getsockname()[1]
        return port


def _await_answer(process: "_Guarded", program: str, port: int, path: str | None, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (code := process.ended()) is not None:
            raise LaunchError(f"{program} ended with exit code {code}{process.last_words()}")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
        try:
            connection.connect()
            if path is not None:
                connection.request("GET", path)
                connection.getresponse()
            return
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
        finally:
            connection.close()
    raise LaunchError(f"{program} did not answer within {seconds:g} s{process.last_words()}")


class _Guarded:
    """The guard's process, which holds the command's tree. It does not know its handle, so that that can be lost."""

    def __init__(
        self,
        arguments: list[str],
        env: dict[str, str],
        cwd: str | os.PathLike[str] | None,
        folder: "tempfile.TemporaryDirectory[str] | None",
    ) -> None:
        self._folder = folder
        writer, path = tempfile.mkstemp(prefix="launched-", suffix=".log")
        self._path = Path(path)
        self._reader = self._path.open("rb")  # opened again: a file that is shared would share its position
        if sys.platform != "win32":
            self._path.unlink()  # gone with the last process that has it open
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-P", str(GUARD), *arguments],
                stdin=subprocess.PIPE,
                stdout=writer,
                stderr=writer,
                env=env,
                cwd=cwd,
                start_new_session=True,  # an interrupt of the kernel is not for the command
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        finally:
            os.close(writer)
        self._lock = threading.Lock()
        self._text = b""

    @property
    def log(self) -> str:
        with self._lock:
            if not self._reader.closed:
                self._text += self._reader.read()
            return self._text.decode(errors="replace")

    def last_words(self) -> str:
        lines = self.log.strip().splitlines()
        return f": {lines[-1].strip()}" if lines else ", and wrote nothing"

    def ended(self) -> int | None:
        return self._guard.poll()

    def tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            found = psutil.Process(self._guard.pid).children(recursive=True) if self._guard.poll() is None else []
            return [process for process in found if _lives(process)]
        return []

    def stop(self) -> None:
        """Closes the pipe that the guard holds on to, and waits until it is done."""
        assert self._guard.stdin
        self._guard.stdin.close()
        try:
            self._guard.wait(10)
        except subprocess.TimeoutExpired:  # it was stopped, by a debugger say
            for process in self.tree():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._guard.kill()
            self._guard.wait()
        _ = self.log
        with self._lock:
            self._reader.close()
        self._path.unlink(missing_ok=True)
        if self._folder:
            self._folder.cleanup()

    def let_go(self) -> None:
        """Stops without making the caller wait: it may be the garbage collector."""
        threading.Thread(target=self.stop, name="end of a launched command", daemon=True).start()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
