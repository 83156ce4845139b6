"""The check of chapter 00."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from lab.judging import called, exercise, require, shown, told

RunAnywhere = Callable[[Callable[[], Coroutine[Any, Any, str]]], str]


class Fetch:
    """A coroutine function that really waits, and says how often it was called."""

    def __init__(self, text: str, fails: bool = False) -> None:
        self.text, self.fails, self.calls = text, fails, 0

    async def __call__(self) -> str:
        self.calls += 1
        await asyncio.sleep(0.01)  # needs a running loop: no one can drive this by hand
        if self.fails:
            raise ConnectionError(self.text)
        return self.text


ALREADY = (RuntimeError, "only this thread's loop is taken; another thread has none yet")


@exercise("0.1", seconds=5)
async def answer_from_a_cell(answer: RunAnywhere) -> str:
    """A result from a place where a loop runs."""
    for text in ("three quotes", "four quotes"):
        fetch = Fetch(text)
        with called(f"run_anywhere(fetch), where a loop is running and fetch returns {text!r}", ALREADY):
            result = answer(fetch)
        require(
            result == text,
            got=shown(result),
            expected=repr(text),
            look=(
                "a thread hands nothing back by itself: wait for it and fetch the result"
                if result is None
                else "this function is not async: it must return what the coroutine returns"
            ),
        )
        require(fetch.calls == 1, got=f"fetch called {fetch.calls} times", expected="one call")
    require(
        not runs_in_a_running_loop(),
        got="asyncio.run() now works inside a running loop: asyncio was patched",
        expected="asyncio as it was",
        look="nest_asyncio changes it for the whole process; a thread of its own needs no patch",
    )

    with called("run_anywhere(fetch), where fetch raises ConnectionError('no quote')"):
        try:
            result = answer(Fetch("no quote", fails=True))
        except Exception as error:
            got = told(error)
        else:
            got = f"{shown(result)}, and no exception"
    require(
        got == "raised ConnectionError: no quote",
        got=got,
        expected="raised ConnectionError: no quote",
        look="Future.result() returns the result or raises the exception; a bare Thread loses both",
    )

    return "a result and an exception came out of a running loop, and asyncio is as it was"


def runs_in_a_running_loop() -> bool:
    async def nothing() -> None: ...

    coroutine = nothing()
    with contextlib.closing(coroutine), contextlib.suppress(RuntimeError):
        asyncio.run(coroutine)
        return True
    return False
