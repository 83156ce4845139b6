"""A process of its own that stays warm between calls and ends when its parent does."""

import atexit
import contextlib
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from lab.errors import LabError

ROOT = Path(__file__).parent.parent

Report = Callable[[object], None]


class WorkerError(LabError):
    """A request, an answer or an exception that cannot be carried between the processes, in words."""


class WorkerDied(LabError):
    """The worker's process ended before it answered."""


class WorkerTimeout(LabError):
    """The worker did not answer in time and was killed."""


_OWN_GROUP: dict[str, Any]
if sys.platform == "win32":
    _OWN_GROUP = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
else:
    _OWN_GROUP = {"start_new_session": True}


class Worker:
    """Runs `python -m MODULE`, whose module calls `run`. Requests and replies are pickled, one call at a time.

    The worker holds the reading end of a pipe from this process: however this process dies, the pipe closes and
    the worker leaves. It is in a group of its own, so an interrupt of the kernel does not reach it.
    """

    def __init__(self, module: str) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `stop`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            **_OWN_GROUP,
        )
        self._words, self._spoilt = "", False
        self._calling = threading.Lock()
        self._replies: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"replies of {module}", daemon=True)
        self._reader.start()
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return not self._spoilt and self._process.poll() is None

    def call(self, request: object, seconds: float, on_progress: Callable[[Any], None] = lambda _: None) -> Any:
        """Sends `request` and returns the reply; `on_progress` gets what the worker reports on the way.

        Raises LabError for a request that cannot be pickled, WorkerTimeout when `seconds` pass without any word,
        WorkerDied when the process ends first, and whatever the worker's handler raised, as a WorkerError where
        the exception itself cannot be carried over. After a timeout or an interrupt the worker is stopped.
        """
        try:
            message = pickle.dumps(request)
        except Exception as error:  # whatever a class of the user's raises
            raise WorkerError(f"cannot be sent to another process: {one_line(error)}") from None
        with self._calling:
            try:
                kind, value = self._ask(message, seconds, on_progress)
            except BaseException:  # an interrupt, say: the reply would be taken for the next call's
                self._spoilt = True  # even where a second interrupt cuts the next line short
                self.stop()
                raise
        if kind == "raised":
            raise value
        return value

    def stop(self) -> None:
        """Ends the process, and what it started, at once. Safe to call again."""
        if self._process.poll() is None:
            for child in _children(self.pid):
                with contextlib.suppress(psutil.Error):
                    child.kill()
            self._process.kill()
        self._process.wait()
        self._reader.join(timeout=1)
        for stream in (self._process.stdin, None if self._reader.is_alive() else self._process.stdout):
            if stream:  # closing what a thread still reads would wait for it
                with contextlib.suppress(OSError):  # a request that was never read
                    stream.close()
        if not self._stderr.closed:
            self._words = self._last_words()
            self._stderr.close()
        atexit.unregister(self.stop)

    def _ask(self, message: bytes, seconds: float, on_progress: Callable[[Any], None]) -> tuple[str, Any]:
        assert self._process.stdin
        try:
            self._process.stdin.write(message)
            self._process.stdin.flush()
        except (OSError, ValueError):  # the pipe is broken, or was closed by `stop`
            self.stop()
            raise WorkerDied(self._words) from None
        while True:
            kind, value = self._reply(seconds)
            if kind == "progress":
                on_progress(value)
            elif kind == "died":
                self.stop()
                raise WorkerDied(self._words)
            else:
                return kind, value

    def _reply(self, seconds: float) -> tuple[str, Any]:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                return self._replies.get(timeout=min(left, 0.5))  # a wait of Windows cannot be interrupted
        raise WorkerTimeout(f"no answer within {seconds:g} s")

    def _read(self) -> None:
        assert self._process.stdout
        try:
            while True:
                self._replies.put(pickle.load(self._process.stdout))
        except Exception:  # the end, or bytes that are no reply: nothing more can be read
            self._replies.put(("died", None))

    def _last_words(self) -> str:
        code = self._process.returncode
        self._stderr.seek(max(0, self._stderr.seek(0, os.SEEK_END) - 4096))
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        if lines and code > 0:
            return lines[-1]
        return f"its process was killed by signal {-code}" if code < 0 else f"its process ended with exit code {code}"


def one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0].removesuffix(": ")


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:  # it has just ended
        return []


def run(handle: Callable[[Any, Report], object]) -> None:
    """The worker's side: answers each request with `handle(request, report)` until the parent is gone.

    What the handler prints, at whatever level, goes nowhere: stdout carries the replies.
    """
    source, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sending = threading.Lock()

    def send(kind: str, value: object) -> None:
        message = pickle.dumps((kind, value))
        pickle.loads(message)  # what cannot be read here cannot be read there
        with sending:
            replies.write(message)
            replies.flush()

    def read() -> None:
        try:
            while True:
                requests.put(pickle.load(source))
        finally:
            os._exit(0)  # the parent is gone; a handler that never ends must not outlive it

    threading.Thread(target=read, name="requests", daemon=True).start()
    while True:
        request = requests.get()
        try:
            answer = handle(request, lambda value: send("progress", value))
        except BaseException as error:
            try:
                send("raised", error)
            except Exception:
                send("raised", WorkerError(one_line(error)))
        else:
            try:
                send("answer", answer)
            except Exception as error:
                send("raised", WorkerError(f"the answer cannot be sent back: {one_line(error)}"))
