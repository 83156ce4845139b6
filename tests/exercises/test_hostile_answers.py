"""Answers that try to take the checker down: each ends in one readable message, and the next check works."""

import asyncio
import contextlib
import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import cloudpickle
import psutil
import pytest

from lab.exercises import run_check
from lab.judging import Exercise
from tests.exercises.answers import EXERCISES, good

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as the functions of a notebook are

LIMIT = 1.5  # seconds, instead of the check's own
MARGIN = 10  # seconds that a busy machine may take beyond the limit

FIRST = next(iter(EXERCISES.values()))

each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


def instead(act: Callable[[], Any]) -> Callable[[Any], Any]:
    """An answer that does something else."""

    def make(right: Any) -> Any:
        def plain(*_: Any, **__: Any) -> Any:
            return act()

        async def coroutine(*_: Any, **__: Any) -> Any:
            result = act()
            return await result if inspect.isawaitable(result) else result

        return coroutine if inspect.iscoroutinefunction(right) else plain

    return make


def as_well(act: Callable[[], Any]) -> Callable[[Any], Any]:
    """A right answer that does something else first."""

    def make(right: Any) -> Any:
        def answer(*values: Any, **named: Any) -> Any:
            act()
            return right(*values, **named)

        return answer

    return make


def raises() -> None:
    raise ValueError("a line\nand another")


def recurses() -> None:
    recurses()


def never_ends() -> None:
    while True:
        pass


def sleeps() -> None:
    time.sleep(3600)


def cannot_be_cancelled() -> Any:
    async def stays() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    return stays()


def leaves_a_task() -> None:
    with contextlib.suppress(RuntimeError):
        kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(3600), name="left"))


def leaves_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def leaves_a_thread_that_holds_the_process() -> None:
    threading.Thread(target=time.sleep, args=(3600,)).start()


def leaves_a_port() -> None:
    kept.append(socket.create_server(("127.0.0.1", 0)))


def leaves_a_process() -> None:
    kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]))


kept: list[Any] = []


def prints_megabytes() -> None:
    print("x" * 3_000_000)
    print("y" * 3_000_000, file=sys.stderr)
    os.write(1, b"z" * 1_000_000)


def closes_the_loop() -> None:
    asyncio.get_running_loop().close()


def stops_the_loop() -> None:
    asyncio.get_running_loop().stop()


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError


Make = Callable[[Any], Any]

TO_EACH: dict[str, tuple[Make, str]] = {
    "is not callable": (lambda right: 42, "'int' object is not callable"),
    "has the wrong signature": (lambda right: lambda *, missing: None, "raised TypeError"),
    "raises": (instead(raises), "raised ValueError: a line"),
    "never ends": (instead(never_ends), f"still running after {LIMIT:g} s"),
    "sleeps": (instead(sleeps), "sleeps: time.sleep(3600)"),
    "cannot be cancelled": (instead(cannot_be_cancelled), "got "),
    "returns garbage": (instead(lambda: b"\x00" * 10_000), "got "),
    "leaves a task": (as_well(leaves_a_task), "left running: sleep"),
    "closes the loop": (instead(closes_the_loop), "raised RuntimeError: Cannot close a running event loop"),
    "stops the loop": (as_well(stops_the_loop), "got "),
    "sys.exit": (instead(sys.exit), "raised SystemExit"),
    "os._exit": (instead(lambda: os._exit(3)), "the end of the whole process"),
}
TO_ANY: dict[str, tuple[Make, str]] = {
    "cannot be sent": (lambda right: threading.Lock(), "it cannot leave the notebook"),
    "holds the interpreter": (instead(lambda: sum(range(10**12))), f"still running after {LIMIT:g} s"),
    "returns what has no repr": (instead(Unprintable), "got "),
    "recurses": (instead(recurses), "raised RecursionError"),
    "leaves a thread": (as_well(leaves_a_thread), "threads left behind"),
    "leaves a thread that holds the process": (as_well(leaves_a_thread_that_holds_the_process), "threads left behind"),
    "leaves a port": (as_well(leaves_a_port), "open ports left behind"),
    "leaves a process": (as_well(leaves_a_process), "processes left behind"),
}
TO_THE_LIMIT = {"never ends", "sleeps", "holds the interpreter", "cannot be cancelled"}


def readable(text: str) -> None:
    lines = text.splitlines()
    assert 4 <= len(lines) <= 9, text
    assert max(map(len, lines)) < 300, text
    assert all(line.startswith((" ", "called ", "got ", "expected ", "look at ", "printed ")) for line in lines[1:]), (
        text
    )
    assert "Traceback" not in text
    assert " 0x" not in text


@each_exercise
@pytest.mark.parametrize("how", TO_EACH)
def test_a_hostile_answer_ends_in_one_readable_message_and_the_next_check_works(exercise: Exercise, how: str) -> None:
    make, message = TO_EACH[how]
    refused_and_gone(exercise, make(good(exercise)), message, LIMIT if how in TO_THE_LIMIT else None)


@pytest.mark.parametrize("how", TO_ANY)
def test_whatever_the_exercise_a_hostile_answer_does_no_harm(how: str) -> None:
    make, message = TO_ANY[how]
    refused_and_gone(FIRST, make(good(FIRST)), message, LIMIT if how in TO_THE_LIMIT else None)


def refused_and_gone(exercise: Exercise, answer: Any, message: str, limit: float | None) -> None:
    threads, tree = threading.active_count(), psutil.Process().children(recursive=True)
    began = time.monotonic()
    verdict = run_check(exercise.id, answer, limit)
    assert time.monotonic() - began < exercise.seconds + MARGIN
    assert verdict.state == "not yet"
    assert message in verdict.text
    readable(verdict.text)
    assert run_check(FIRST.id, good(FIRST)).state == "solved"
    assert threading.active_count() <= threads + 1  # the one that reads the checker's replies
    left = [child for child in psutil.Process().children(recursive=True) if child not in tree]
    assert len(left) <= 1, left  # the checker's process


@each_exercise
def test_a_right_answer_may_print_megabytes(exercise: Exercise) -> None:
    verdict = run_check(exercise.id, as_well(prints_megabytes)(good(exercise)))
    assert verdict.state == "solved"
    assert len(verdict.text) < 500
    assert "printed  xxx" in verdict.text
    assert "characters more" in verdict.text
