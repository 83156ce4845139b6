"""The process that checks answers, so that nothing an answer does can hurt the kernel."""

import asyncio
import contextlib
import inspect
import io
import sys
import threading
import time
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import cloudpickle  # type: ignore[import-untyped]
import psutil

from lab import judging, worker
from lab.judging import Outcome, Place, Refusal, Refused, require, sitting


class Printed(io.TextIOBase):
    """Keeps the start of what is printed, and counts the rest."""

    def __init__(self) -> None:
        self.start, self.size = "", 0

    def write(self, text: str) -> int:
        self.start += text[: max(0, 1000 - self.size)]
        self.size += len(text)
        return len(text)


def handle(request: tuple[str, bytes, float] | str, report: worker.Report) -> Outcome | None:
    if isinstance(request, str):  # asks whether this process is up, and ready for that exercise
        module = sys.modules[judging.exercises()[request].check.__module__]
        getattr(module, "prepare", lambda: None)()
        return None
    id, pickled, seconds = request
    chosen = judging.exercises()[id]
    printed = Printed()
    sitting.begin(lambda text: report(("called", text)))

    def outcome(solved: str | None) -> Outcome:
        return Outcome(solved, sitting.refusal, sitting.unsolved, printed.start, printed.size)

    def too_late() -> None:
        sitting.refusal = sitting.refusal or still_running(seconds, main)
        report(("too late", outcome(None)))

    main = threading.get_ident()
    watchdog = threading.Timer(seconds, too_late)
    watchdog.daemon = True
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(Printed()):
        try:
            answer = load(pickled)  # what it imports takes no time of the check's
            watchdog.start()
            solved = examine(chosen.check, answer)
        except BaseException as error:
            solved, sitting.refusal = None, sitting.refusal or refusal_for(error)
        finally:
            watchdog.cancel()
    return outcome(solved)


def examine(check: Callable[[Any], Any], answer: object) -> str:
    """Runs the check on the answer, then looks for what the answer left behind."""
    before = Left.now()
    solved: str
    if inspect.iscoroutinefunction(check):
        with asyncio.Runner() as runner:
            try:
                solved = runner.run(in_loop(check, answer))
            except BaseException as error:
                sitting.refusal = refusal_for(error)  # now: closing the loop may take longer than there is time
                raise
    else:
        solved = check(answer)
    before.require_nothing_more()
    return solved


async def in_loop(check: Callable[[Any], Any], answer: object) -> str:
    sitting.loop = asyncio.get_running_loop()
    solved: str = await check(answer)
    await judging.settled()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    names = ", ".join(sorted({getattr(task.get_coro(), "__qualname__", "a task") for task in left}))
    require(
        not left,
        got=f"{counted(len(left), 'task')} left running: {names}",
        expected="none left when the answer is done",
        look="await or cancel every task you create; asyncio.TaskGroup does both",
    )
    return solved


@dataclass(frozen=True)
class Left:
    """The threads, processes and listening ports of this process."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]
    ports: frozenset[int]

    @classmethod
    def now(cls) -> "Left":
        me = psutil.Process()
        ports: set[int] = set()
        with contextlib.suppress(psutil.AccessDenied):
            ports = {c.laddr.port for c in me.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        return cls(frozenset(threading.enumerate()), frozenset(me.children(recursive=True)), frozenset(ports))

    def require_nothing_more(self) -> None:
        now = Left.now()
        deadline = time.monotonic() + 0.5  # a thread that was told to end needs a moment
        while (now.threads - self.threads or now.children - self.children) and time.monotonic() < deadline:
            time.sleep(0.01)
            now = Left.now()
        threads, children, ports = now.threads - self.threads, now.children - self.children, now.ports - self.ports
        for child in children:
            with contextlib.suppress(psutil.Error):
                child.kill()
        for left, kind, look in (
            (threads, "thread", "join the thread, or shut its pool down, before you return"),
            (children, "process", "wait for it, or end it, before you return"),
            (ports, "open port", "stop the server before you return"),
        ):
            require(
                not left,
                got=f"{counted(len(left), kind)} left behind",
                expected="none left when the answer is done",
                look=look,
            )


def load(pickled: bytes) -> object:
    with judging.called("the answer, loaded into the checker's process"):
        return cloudpickle.loads(pickled)


def refusal_for(error: BaseException) -> Refusal:
    """What a check ends with, as a refusal: never a traceback."""
    if isinstance(error, Refused):
        return error.refusal
    try:
        judging.refuse_for(error)
    except Refused as refused:
        return refused.refusal


def still_running(seconds: float, main: int) -> Refusal:
    look = "a loop that never ends, a call that blocks, or an await of what never comes"
    refusal = Refusal(sitting.called, f"still running after {seconds:g} s", "an end", look)
    with contextlib.suppress(Exception):  # threads and tasks move while they are looked at
        return replace(refusal, place=next(filter(None, places(main)), None))
    return refusal


def places(main: int) -> Iterable[Place | None]:
    """Where the answer is now: in the checker's thread, in its tasks, then in other threads."""
    frames = sys._current_frames()
    yield from up(frames.pop(main, None))
    for task in asyncio.all_tasks(sitting.loop) if sitting.loop else ():
        yield from reversed([judging.place_of(frame) for frame in awaited(task.get_coro())])
    for frame in frames.values():
        yield from up(frame)


def up(frame: types.FrameType | None) -> Iterable[Place | None]:
    while frame:
        yield judging.place_of(frame)
        frame = frame.f_back


def awaited(coroutine: Any) -> Iterable[types.FrameType]:
    """The frames of a coroutine and of those it awaits, outermost first."""
    while frame := getattr(coroutine, "cr_frame", None):
        yield frame
        coroutine = coroutine.cr_await


def counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}{'es' if thing.endswith('s') else 's'}"


if __name__ == "__main__":
    judging.exercises()
    worker.run(handle)
