"""Every stub, solution and wrong answer, as its notebook or file holds it."""

import ast
import functools
import json
import linecache
import re
from pathlib import Path
from typing import Any

from lab.exercises import Verdict, run_check
from lab.judging import Exercise, exercises

ROOT = Path(__file__).parents[2]
EXERCISES = exercises()
WRONG_ANSWERS = sorted((ROOT / "tests" / "wrong_answers").glob("*/*.py"))


def topic(exercise: Exercise) -> str:
    return exercise.check.__module__.rpartition(".")[2]


def notebook(folder: str, exercise: Exercise) -> Path:
    """`notebooks/01_wsgi_vs_asgi.ipynb` for an exercise of that chapter. Fails readably where there is none."""
    path = ROOT / folder / f"{exercise.order[0]:02}_{topic(exercise)}.ipynb"
    assert path.exists(), f"exercise {exercise.id} has no {folder}/{path.name}"
    return path


def code_cells(path: Path) -> list[tuple[set[str], str]]:
    """Tags and source of each code cell."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [
        (set(cell["metadata"].get("tags", [])), "".join(cell["source"]))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def tagged(path: Path, tag: str) -> str:
    """The source of the one cell that has this tag. Fails readably where there is none, or more than one."""
    found = [source for tags, source in code_cells(path) if tag in tags]
    assert len(found) == 1, f"{path.parent.name}/{path.name}: {len(found)} cells are tagged {tag!r}, 1 is needed"
    return found[0]


def stub(exercise: Exercise) -> str:
    return tagged(notebook("notebooks", exercise), f"exercise-{exercise.id}")


def solution(exercise: Exercise) -> str:
    return tagged(notebook("solutions", exercise), f"solution-{exercise.id}")


def checked(path: Path) -> list[tuple[str, str]]:
    """The id and the answer's name of each `check("1.3", fan_out)` in a notebook."""
    return [pair for _, source in code_cells(path) for pair in re.findall(r'\bcheck\("([^"]+)", (\w+)\)', source)]


def answer_name(exercise: Exercise) -> str:
    path = notebook("notebooks", exercise)
    names = [name for id, name in checked(path) if id == exercise.id]
    assert len(names) == 1, f'{path.name}: {len(names)} cells say check("{exercise.id}", …), 1 is needed'
    return names[0]


def run(source: str, name: str) -> dict[str, Any]:
    """The names that a cell or file defines. Tracebacks and messages can quote its lines, under the name given."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {"__name__": "answers"}
    exec(compile(source, name, "exec"), namespace)
    return namespace


def answer(exercise: Exercise, source: str, name: str) -> Any:
    namespace = run(source, name)
    wanted = answer_name(exercise)
    assert wanted in namespace, f"{name} does not define {wanted}"
    return namespace[wanted]


def good(exercise: Exercise) -> Any:
    """The solution's answer."""
    return answer(exercise, solution(exercise), f"solution {exercise.id}")


def defined(source: str) -> set[str]:
    """What a cell defines at its top level, imports left out."""
    names: set[str] = set()
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return names


def exercise_of(wrong: Path) -> str:
    """The id in the name of a wrong answer: 1.3 for 1_3_batches.py."""
    return ".".join(wrong.stem.split("_")[:2])


def wrong_answers(exercise: Exercise) -> list[Path]:
    return [path for path in WRONG_ANSWERS if exercise_of(path) == exercise.id]


@functools.cache
@functools.cache
def verdict_on(wrong: Path) -> tuple[Verdict, str]:
    """The verdict on a wrong answer, and what it is to be refused with."""
    exercise = EXERCISES[exercise_of(wrong)]
    source = wrong.read_text(encoding="utf-8")
    namespace = run(source, wrong.stem)
    verdict = run_check(exercise.id, answer(exercise, source, wrong.stem), namespace.get("SECONDS"))
    return verdict, namespace["REFUSED_WITH"]
