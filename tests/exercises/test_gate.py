"""The gate: a solution passes, a stub is not solved yet, a wrong answer is refused with its own message; no orphans."""

import ast
from pathlib import Path

import pytest

from lab.exercises import read_notebook, run_check
from lab.judging import Exercise
from tests.exercises.answers import (
    EXERCISES,
    ROOT,
    WRONG_ANSWERS,
    answer,
    answer_name,
    checked,
    code_cells,
    defined,
    exercise_of,
    good,
    notebook,
    run,
    solution,
    stub,
    topic,
    verdict_on,
    wrong_answers,
)

each_exercise = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)
each_wrong_answer = pytest.mark.parametrize("wrong", WRONG_ANSWERS, ids=[path.stem for path in WRONG_ANSWERS])


@each_exercise
def test_the_stub_is_not_solved_yet(exercise: Exercise) -> None:
    verdict = run_check(exercise.id, answer(exercise, stub(exercise), f"stub {exercise.id}"))
    assert verdict.state == "not solved yet", verdict.text


@each_exercise
def test_the_solution_passes(exercise: Exercise) -> None:
    verdict = run_check(exercise.id, good(exercise))
    assert verdict.state == "solved", verdict.text


@each_exercise
def test_the_stub_and_the_solution_define_the_same_names(exercise: Exercise) -> None:
    assert defined(stub(exercise)) == defined(solution(exercise))


@each_exercise
def test_the_solution_is_checked_in_its_notebook(exercise: Exercise) -> None:
    path = notebook("solutions", exercise)
    assert (exercise.id, answer_name(exercise)) in checked(path), (
        f'no check("{exercise.id}", …) in solutions/{path.name}'
    )


@each_wrong_answer
def test_a_wrong_answer_is_refused_with_its_own_message(wrong: Path) -> None:
    verdict, refused_with = verdict_on(wrong)
    assert verdict.state == "not yet", verdict.text
    assert refused_with in verdict.text, f"{refused_with!r} is not in\n{verdict.text}"


@each_exercise
def test_no_two_wrong_answers_are_told_the_same(exercise: Exercise) -> None:
    first: dict[str, str] = {}
    for path in wrong_answers(exercise):
        other = first.setdefault(verdict_on(path)[0].text, path.stem)
        excused = run(path.read_text(encoding="utf-8"), path.stem).get("TOLD_LIKE")
        assert other in (path.stem, excused), f"{path.stem} is told the same as {other}"


@each_exercise
def test_there_are_at_least_three_wrong_answers(exercise: Exercise) -> None:
    assert len(wrong_answers(exercise)) >= 3, (
        f"tests/wrong_answers/{topic(exercise)}/{exercise.id.replace('.', '_')}_*.py"
    )


@each_wrong_answer
def test_a_wrong_answer_says_in_a_sentence_what_is_wrong(wrong: Path) -> None:
    sentence = ast.get_docstring(ast.parse(wrong.read_text(encoding="utf-8"))) or ""
    assert sentence.endswith(".")
    assert "\n" not in sentence


@each_exercise
def test_the_notebook_has_its_title_and_three_hints(exercise: Exercise) -> None:
    sections = read_notebook(exercise.order[0])
    heading = f"### Exercise {exercise.id} · {exercise.title} · N min"
    assert exercise.id in sections, f"no heading {heading!r} in {notebook('notebooks', exercise).name}"
    section = sections[exercise.id]
    assert section.title == exercise.title, "the check's docstring begins with the title in the notebook"
    assert len(section.hints) == 3, f"{exercise.id} has {len(section.hints)} hints"
    assert all(title and text for title, text in section.hints), f"{exercise.id} has an empty hint"


def test_no_wrong_answer_is_without_an_exercise() -> None:
    homes = {id: topic(exercise) for id, exercise in EXERCISES.items()}
    assert [path for path in WRONG_ANSWERS if homes.get(exercise_of(path)) != path.parent.name] == []


def test_nothing_else_lies_among_the_wrong_answers() -> None:
    files = [path for path in (ROOT / "tests" / "wrong_answers").rglob("*") if path.is_file()]
    assert [path for path in files if path not in WRONG_ANSWERS and "__pycache__" not in path.parts] == []


@pytest.mark.parametrize(("folder", "kind"), [("notebooks", "exercise"), ("solutions", "solution")])
def test_no_cell_is_without_an_exercise(folder: str, kind: str) -> None:
    for path in sorted((ROOT / folder).glob("*.ipynb")):
        own = {id for id, exercise in EXERCISES.items() if path.stem == f"{exercise.order[0]:02}_{topic(exercise)}"}
        tags = {
            tag for cell_tags, _ in code_cells(path) for tag in cell_tags if tag.startswith(("exercise-", "solution-"))
        }
        assert tags == {f"{kind}-{id}" for id in own}, path.name
        assert {id for id, _ in checked(path)} == own, path.name


def test_no_exercise_of_a_notebook_is_without_a_check() -> None:
    told = {id for path in (ROOT / "notebooks").glob("*.ipynb") for id in read_notebook(int(path.stem[:2]))}
    assert told == set(EXERCISES)
