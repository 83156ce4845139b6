"""A worker that does what it is told, for test_worker.py."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from lab.worker import Report, run


class Stubborn(Exception):
    def __init__(self, first: str, second: str) -> None:  # two arguments: it cannot be unpickled
        super().__init__(first + second)


def forever() -> None:
    while True:
        pass


def told(report: Report) -> str:
    for number in range(3):
        report(number)
    return "done"


def words_on_stderr() -> None:
    print("first\nthe last word", file=sys.stderr, flush=True)
    os._exit(3)


def sleeper() -> int:
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid


def raises(error: BaseException) -> None:
    raise error


DO: dict[str, Callable[[Report, Any], object]] = {
    "echo": lambda report, value: value,
    "print": lambda report, value: print(value, flush=True),
    "report": lambda report, value: told(report),
    "forever": lambda report, value: forever(),
    "sleep": lambda report, value: time.sleep(value),
    "exit": lambda report, value: os._exit(value),
    "words": lambda report, value: words_on_stderr(),
    "raise": lambda report, value: raises(value),
    "stubborn": lambda report, value: raises(Stubborn("one", "two")),
    "sys.exit": lambda report, value: sys.exit(),
    "lock": lambda report, value: threading.Lock(),
    "garbage": lambda report, value: os.write(value, b"no pickle"),
    "sleeper": lambda report, value: sleeper(),
    "stdin": lambda report, value: sys.stdin.read(),
}

if __name__ == "__main__":
    run(lambda request, report: DO[request[0]](report, request[1]))
