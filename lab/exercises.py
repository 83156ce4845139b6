"""Exercises: check an answer, ask for a hint, see how far you are."""

import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from inspect import getclosurevars
from linecache import getline
from pathlib import Path
from typing import Any, Literal

import psutil
from IPython.core.getipython import get_ipython
from IPython.display import display

from lab.errors import LabError
from lab.judging import Exercise, Outcome, Refusal, exercises, one_line
from lab.judging import todo as todo
from lab.messages import Kind, say
from lab.pickling import dumps
from lab.worker import ROOT, Worker, WorkerDied, WorkerTimeout

NOTEBOOKS = ROOT / "notebooks"

State = Literal["solved", "not yet", "not solved yet"]
_KINDS: dict[State, Kind] = {"solved": "success", "not yet": "warning", "not solved yet": "info"}
_MISSING = object()

_worker: Worker | None = None
_hints_given: dict[str, int] = {}


@dataclass(frozen=True)
class Verdict:
    id: str
    state: State
    text: str


def check(id: str, answer: object = _MISSING) -> None:
    """Checks your answer to exercise `id` in a process of its own, and displays the verdict."""
    if answer is _MISSING:
        raise LabError(f'check("{id}", …) needs your answer as well: the name of your function')
    verdict = run_check(id, answer)
    first, _, rest = verdict.text.partition("\n")
    details = f"<pre>{escape(rest)}</pre>" if rest else ""
    say(verdict.text, f"<strong>{escape(first)}</strong>{details}", _KINDS[verdict.state])
    if verdict.state == "solved":
        _remember(id)


def hint(id: str) -> None:
    """Displays the next hint for exercise `id`: what to look at, then the idea, then the tool."""
    chapter = int(_exercise(id).id.split(".")[0])
    hints = read_notebook(chapter).get(id, Section()).hints
    given = _hints_given.get(id, 0)
    if given < len(hints):
        _hints_given[id] = given + 1
        title, body = hints[given]
        text = f"**{id}, hint {given + 1} of {len(hints)}: {title}**\n\n{body}"
        _display(text, "text/markdown", text)
    else:
        where = ", ".join(f"solutions/{path.name}" for path in _notebooks(chapter))
        say(f"{id}: no hint is left. The solution, with its reasons: {where or 'solutions/'}")


def progress() -> None:
    """Displays every exercise and whether it is solved. `progress.txt` has a line for each solved one."""
    solved, trouble = _solved()
    rows = [(known.id, known.title, "solved" if known.id in solved else "not yet") for known in exercises().values()]
    head = f"{sum(row[2] == 'solved' for row in rows)} of {len(rows)} solved"
    width = max(len(row[1]) for row in rows)
    plain = "\n".join([head, *(f"{id}  {title:<{width}}  {state}" for id, title, state in rows)])
    cells = "".join(f"<tr><td>{id}</td><td>{escape(title)}</td><td>{state}</td></tr>" for id, title, state in rows)
    header = "<tr><th>exercise</th><th>title</th><th>state</th></tr>"
    table = f"<table><caption>{head}</caption><thead>{header}</thead><tbody>{cells}</tbody></table>"
    _display(plain, "text/html", table)
    if trouble:
        say(trouble, kind="warning")


# Checking


def run_check(id: str, answer: object, seconds: float | None = None) -> Verdict:
    """The verdict on an answer. `seconds` replaces the check's own limit.

    The answer runs in a warm process, which is kept after an accepted answer and replaced after any other.
    Raises LabError for an exercise that is not known.
    """
    known = _exercise(id)
    limit = seconds or known.seconds
    try:
        pickled = dumps(answer)
    except Exception as error:
        return _verdict(known, Outcome(None, _cannot_leave(answer, error), False, "", 0))
    return _verdict(known, _outcome(known.id, pickled, limit))


class _TooLate(Exception):
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


def _outcome(id: str, pickled: bytes, limit: float) -> Outcome:
    called = "your answer"

    def hear(word: Any) -> None:
        nonlocal called
        if word[0] == "too late":
            raise _TooLate(word[1])
        called = word[1]

    def refused(got: str, look: str) -> Outcome:
        return Outcome(None, Refusal(called, got, "an answer", look), False, "", 0)

    worker, outcome = _warm_worker(id), None
    try:
        outcome = worker.call((id, pickled, limit), limit + 1, hear)
    except _TooLate as late:
        return late.outcome
    except WorkerTimeout:
        outcome = refused(f"still running after {limit:g} s", "one long computation that lets nothing else run")
    except WorkerDied:
        outcome = refused("the end of the whole process", "os._exit(), or a crash in a library")
    finally:
        if outcome is None or outcome.solved is None:
            _replace_worker()
    assert isinstance(outcome, Outcome)
    return outcome


def _warm_worker(id: str) -> Worker:
    global _worker
    if _worker is None or not _worker.alive:
        _worker = Worker("lab.check_worker")
    _worker.call(id, 30)
    return _worker


def _replace_worker() -> None:
    """Ends the worker with all that the answer started, and starts the next one while the learner reads."""
    global _worker
    if _worker is not None:
        try:
            children = psutil.Process(_worker.pid).children(recursive=True)
        except psutil.Error:
            children = []
        _worker.stop()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
    _worker = Worker("lab.check_worker")


def _cannot_leave(answer: object, error: Exception) -> Refusal:
    """What in an answer cannot be sent to another process."""
    name = getattr(answer, "__name__", type(answer).__name__)
    used: dict[str, object] = {}
    with suppress(TypeError, ValueError):  # not a function, or one whose closure is not complete
        variables = getclosurevars(answer)  # type: ignore[arg-type]
        used = {**variables.globals, **variables.nonlocals}
    for used_name, value in used.items():
        try:
            dumps(value)
        except Exception:
            got = f"it uses `{used_name}`, a {type(value).__name__}, which cannot leave the notebook"
            return Refusal(
                f"{name}, in a process of its own",
                got,
                "what it needs made inside",
                f"make `{used_name}` inside {name}",
            )
    return Refusal(
        f"{name}, in a process of its own",
        one_line(f"it cannot leave the notebook: {error}"),
        "what it needs made inside",
        "make what it uses inside it",
    )


def _verdict(known: Exercise, outcome: Outcome) -> Verdict:
    if outcome.unsolved:
        text = f"{known.id} is not solved yet, as expected: replace todo() with your code"
        return Verdict(known.id, "not solved yet", text)
    if outcome.solved is not None:
        return Verdict(known.id, "solved", "\n".join([f"{known.id} solved: {outcome.solved}", *_printed(outcome)]))
    refusal = outcome.refusal
    assert refusal
    look = refusal.look
    if refusal.place:
        file, line, function = refusal.place
        source = getline(file, line).strip()
        where = f"{function}: {source}" if source else f"line {line} of {function}"
        look = f"{where}\n         {look}" if look else where
    lines = [
        f"{known.id} not yet",
        f"called   {refusal.called}",
        f"got      {refusal.got}",
        f"expected {refusal.expected}",
    ]
    if look:
        lines.append(f"look at  {look}")
    return Verdict(known.id, "not yet", "\n".join(lines + _printed(outcome)))


def _printed(outcome: Outcome) -> list[str]:
    """The first lines that the answer printed, and how much more there was."""
    text = outcome.printed[:200]
    lines = text.splitlines()[:3]
    more = outcome.printed_in_all - len("\n".join(lines))
    if more > 1:
        lines.append(f"… and {more:,} characters more")
    return [("printed  " if number == 0 else "         ") + line for number, line in enumerate(lines)]


def _exercise(id: str) -> Exercise:
    known = exercises()
    if id not in known:
        raise LabError(f"there is no exercise {id!r}; there are {', '.join(known)}")
    return known[id]


# What is solved


def progress_file() -> Path:
    return Path(os.environ.get("LAB_PROGRESS") or ROOT / "progress.txt")


def _solved() -> tuple[list[str], str]:
    """The solved exercises, and what went wrong when they were read, if anything."""
    try:
        return progress_file().read_text(encoding="utf-8").split(), ""
    except FileNotFoundError:
        return [], ""
    except (OSError, UnicodeDecodeError) as error:
        return [], f"progress.txt cannot be read: {_reason(error)}"


def _remember(id: str) -> None:
    solved, trouble = _solved()
    try:
        if not trouble and id not in solved:
            progress_file().write_text("\n".join([*solved, id, ""]), encoding="utf-8")
    except OSError as error:
        trouble = f"progress.txt cannot be written: {_reason(error)}"
    if trouble:
        say(trouble, kind="warning")


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return "it is not a text file" if isinstance(error, UnicodeDecodeError) else error.strerror or type(error).__name__


# What the notebook says


@dataclass(frozen=True)
class Section:
    """An exercise as its notebook tells it; a hint is a title and a text in Markdown."""

    title: str = ""
    minutes: int = 0
    hints: tuple[tuple[str, str], ...] = ()


_HEADING = re.compile(r"^### Exercise (\d+\.\d+) · (.+) · (\d+) min$", re.MULTILINE)
_HINT = re.compile(r"<details>\s*<summary>Hint \d+: (.*?)</summary>(.*?)</details>", re.DOTALL)


def read_notebook(chapter: int) -> dict[str, Section]:
    """The exercises of a chapter, by id, from the headings and hints of its notebook."""
    sections: dict[str, Section] = {}
    for path in _notebooks(chapter):
        try:
            cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
            text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        except (OSError, ValueError, KeyError, TypeError):
            raise LabError(f"notebooks/{path.name} cannot be read as a notebook") from None
        for part in re.split(r"^(?=#{2,3} )", text, flags=re.MULTILINE):
            if heading := _HEADING.match(part):
                id, title, minutes = heading.groups()
                hints = tuple((title.strip(), body.strip()) for title, body in _HINT.findall(part))
                sections[id] = Section(title, int(minutes), hints)
    return sections


def _notebooks(chapter: int) -> list[Path]:
    return sorted(NOTEBOOKS.glob(f"{chapter:02}_*.ipynb"))


def _display(plain: str, kind: str, text: str) -> None:
    """Displays `text` of the given MIME type in a notebook, and prints `plain` elsewhere."""
    if get_ipython() is None:
        print(plain)
    else:
        display({"text/plain": plain, kind: text}, raw=True)
