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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.errors import LabError

ROOT = Path(__file__).parent.parent

Report = Callable[[object], None]


class WorkerDied(LabError):
    """The worker's process ended before it answered."""


class WorkerTimeout(LabError):
    """The worker did not answer in time and was killed."""


class Worker:
    """Runs `python -m MODULE`, whose module calls `run`. Requests and replies are pickled.

    The worker holds the reading end of a pipe from this process: however this process dies, the pipe closes and
    the worker leaves. It is in a session of its own, so an interrupt of the kernel does not reach it.
    """

    def __init__(self, module: str) -> None:
        self._stderr = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            start_new_session=True,
        )
        self._replies: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, name=f"replies of {module}", daemon=True)
        self._reader.start()
        atexit.register(self.stop)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def call(self, request: object, seconds: float, on_progress: Report = lambda _: None) -> Any:
        """Sends `request` and returns the reply; `on_progress` gets what the worker reports on the way.

        Raises WorkerTimeout when `seconds` pass without any word, WorkerDied when the process ends first,
        and whatever exception the worker's handler raised, if it can be pickled.
        """
        try:
            assert self._process.stdin
            self._process.stdin.write(pickle.dumps(request))
            self._process.stdin.flush()
            while True:
                kind, value = self._replies.get(timeout=seconds)
                if kind == "progress":
                    on_progress(value)
                elif kind == "raised":
                    raise value
                elif kind == "answer":
                    return value
                else:
                    raise WorkerDied(self._last_words())
        except queue.Empty:
            self.stop()
            raise WorkerTimeout(f"no answer within {seconds:g} s") from None
        except OSError:
            self.stop()
            raise WorkerDied(self._last_words()) from None
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the process at once. Safe to call again."""
        atexit.unregister(self.stop)
        self._process.kill()
        self._process.wait()
        self._reader.join(timeout=5)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream
            with contextlib.suppress(OSError):  # a request that was never read
                stream.close()

    def _read(self) -> None:
        assert self._process.stdout
        try:
            while True:
                self._replies.put(pickle.load(self._process.stdout))
        except Exception:  # the end, or bytes that are no reply: nothing more can be read
            self._replies.put(("died", None))

    def _last_words(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"its process ended with exit code {self._process.returncode}"


def run(handle: Callable[[Any, Report], object]) -> None:
    """The worker's side: answers each request with `handle(request, report)` until the parent is gone.

    What the handler prints, at whatever level, goes nowhere: stdout carries the replies.
    """
    replies = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    requests: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sending = threading.Lock()

    def send(kind: str, value: object) -> None:
        with sending:
            replies.write(pickle.dumps((kind, value)))
            replies.flush()

    def read() -> None:
        source = os.fdopen(os.dup(0), "rb")
        try:
            while True:
                requests.put(pickle.load(source))
        except EOFError:
            os._exit(0)  # the parent is gone; a handler that never ends must not outlive it

    os.set_inheritable(0, False)
    threading.Thread(target=read, name="requests", daemon=True).start()
    while True:
        request = requests.get()
        try:
            answer = handle(request, lambda value: send("progress", value))
        except Exception as error:
            try:
                pickle.loads(pickle.dumps(error))
            except Exception:
                error = WorkerDied(f"{type(error).__name__}: {error}")
            send("raised", error)
        else:
            send("answer", answer)
