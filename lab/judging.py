"""What a check is written with: it names what it calls, requires what it expects, and says what it saw."""

import asyncio
import importlib
import inspect
import pkgutil
import re
import reprlib
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any, NoReturn

from lab.errors import LabError

Place = tuple[str, int, str]  # file, line, function
Check = Callable[[Any], str | Awaitable[str]]
Look = tuple[type[BaseException] | tuple[type[BaseException], ...], str]


class NotSolved(LabError):
    """The stub's marker line was reached."""


@dataclass(frozen=True)
class Refusal:
    """Why an answer is refused, as a colleague would say it. `place` is the answer's line that it is about, if any."""

    called: str
    got: str
    expected: str
    look: str = ""
    place: Place | None = None


class Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.got)
        self.refusal = refusal


@dataclass(frozen=True)
class Exercise:
    id: str
    title: str
    seconds: float
    check: Check

    @property
    def order(self) -> tuple[int, ...]:
        return tuple(map(int, self.id.split(".")))


@dataclass(frozen=True)
class Outcome:
    """What a check found. `solved` is what it saw an accepted answer do, `printed` the start of what that printed."""

    solved: str | None
    refusal: Refusal | None
    unsolved: bool
    printed: str
    printed_in_all: int


class Sitting:
    """What is known of the check that runs now. There is one per process."""

    def __init__(self) -> None:
        self.begin(lambda _: None)

    def begin(self, tell: Callable[[str], object]) -> None:
        """Forgets the last check; `tell` hears what is being called."""
        self.tell = tell
        self.called = "your answer"
        self.unsolved = False
        self.refusal: Refusal | None = None
        self.loop: asyncio.AbstractEventLoop | None = None


sitting = Sitting()
_registered: dict[str, Exercise] = {}


def exercise(id: str, *, seconds: float) -> Callable[[Check], Check]:
    """Registers the check of exercise `id`: its title is the docstring's first line, `seconds` its limit.

    The check gets the answer and returns, in a few words, what it saw an accepted answer do. It may be async.
    """

    def register(check: Check) -> Check:
        title = inspect.getdoc(check) or ""
        _registered[id] = Exercise(id, title.partition("\n")[0].rstrip("."), seconds, check)
        return check

    return register


def exercises() -> dict[str, Exercise]:
    """Every exercise that has a check, by id, in the course's order."""
    import lab.checks

    for module in pkgutil.iter_modules(lab.checks.__path__):
        importlib.import_module(f"lab.checks.{module.name}")
    return dict(sorted(_registered.items(), key=lambda item: item[1].order))


def todo() -> NoReturn:
    """Marks where your code goes."""
    sitting.unsolved = True
    raise NotSolved("not solved yet: replace todo() with your code")


@contextmanager
def called(text: str, look: Look | None = None) -> Iterator[None]:
    """Names what the check calls, for this block and for what is required after it.

    An exception that leaves the block refuses the answer. `look` says where to look for one class of
    exception; for any other exception it is the answer's line that raised.
    """
    sitting.called = text
    sitting.tell(text)
    try:
        yield
    except Refused:
        raise
    except BaseException as error:
        refuse_for(error, look)


def refuse_for(error: BaseException, look: Look | None = None, also: str = "") -> NoReturn:
    """Refuses the answer because of an exception that came out of it. `also` is said beside it."""
    advice = look[1] if look and isinstance(error, look[0]) else ""
    place = None if advice else raised_at(error)
    if not advice and not place:
        advice = "the parameters, and async or not, as in the stub" if isinstance(error, TypeError) else ""
    raise Refused(Refusal(sitting.called, told(error) + also, "no exception", advice, place)) from None


def require(condition: object, *, got: str, expected: str, look: str = "") -> None:
    """Refuses the answer unless `condition` holds."""
    if not condition:
        raise Refused(Refusal(sitting.called, got, expected, look))


def awaitable(made: object) -> Awaitable[Any]:
    """`made`, if it can be awaited; refuses the answer otherwise."""
    if not inspect.isawaitable(made):
        require(False, got=shown(made), expected="something to await", look="async def")
    return made  # type: ignore[return-value]


async def settled() -> None:
    """Lets every task of this loop run on, until each waits for something."""
    for _ in range(100):
        await asyncio.sleep(0)


async def eventually(condition: Callable[[], object], within: float = 1.0) -> bool:
    """Whether `condition` comes true within that many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.005)  # not an Event: the condition may come true in any thread
    return True


_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80
_repr.maxlist = _repr.maxtuple = _repr.maxdict = _repr.maxset = 12


def shown(value: object) -> str:
    """`value` in one short line that is the same in every run."""
    kind = type(value).__name__
    if inspect.isawaitable(value):
        if inspect.iscoroutine(value):
            value.close()  # nobody will await it
        return f"a {kind}, not its result"
    try:
        text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else _repr.repr(value)
    except Exception:
        text = f"a {kind} without a repr"
    return one_line(text)


def told(error: BaseException) -> str:
    """An exception as "raised ValueError: its first line"."""
    try:
        text = str(error)
    except Exception:
        text = ""
    return one_line(f"raised {type(error).__name__}" + (f": {text}" if text else ""))


def one_line(text: str, limit: int = 200) -> str:
    """The first line of `text` without memory addresses, and not longer than `limit` characters."""
    text = re.sub(r" at 0x[0-9A-Fa-f]+", "", text).strip().partition("\n")[0]
    return text if len(text) <= limit else text[: limit - 1] + "…"


def place_of(frame: FrameType | None, line: int | None = None) -> Place | None:
    """Where a frame is, if it is the answer's: an answer's functions were rebuilt here, outside any module."""
    if frame is None:
        return None
    module = sys.modules.get(frame.f_globals.get("__name__", ""))
    if module is not None and vars(module) is frame.f_globals:
        return None
    return frame.f_code.co_filename, line or frame.f_lineno, frame.f_code.co_name


def raised_at(error: BaseException) -> Place | None:
    """The answer's innermost line that an exception passed through."""
    places = [place_of(frame, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next(filter(None, reversed(places)), None)
