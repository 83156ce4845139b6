"""Checking, hints and progress, as a learner meets them. The answers are functions made in a test, as in a notebook."""

import asyncio
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab import exercises, todo
from lab.errors import LabError
from lab.exercises import check, hint, progress, run_check
from lab.judging import shown, told


def right() -> Callable[[Any], Any]:
    def run_anywhere(make_coroutine: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(make_coroutine())).result()

    return run_anywhere


def wrong() -> Callable[[Any], Any]:
    def run_anywhere(make_coroutine: Any) -> Any:
        print("<looking>")
        return None

    return run_anywhere


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A progress file that is not the learner's."""
    file = tmp_path / "solved.txt"
    monkeypatch.setenv("LAB_PROGRESS", str(file))
    return file


# Checking


def test_a_wrong_answer_is_told_in_five_lines_and_what_it_printed(capsys: pytest.CaptureFixture[str]) -> None:
    check("0.1", wrong())
    assert capsys.readouterr().out.splitlines() == [
        "0.1 not yet",
        "called   run_anywhere(fetch), where a loop is running and fetch returns 'three quotes'",
        "got      None",
        "expected 'three quotes'",
        "look at  a thread hands nothing back by itself: wait for it and fetch the result",
        "printed  <looking>",
    ]


def test_an_exception_is_told_with_the_line_of_the_answer_that_raised() -> None:
    def run_anywhere(make_coroutine: Any) -> Any:
        return make_coroutine["result"]

    text = run_check("0.1", run_anywhere).text
    assert "raised TypeError: 'Fetch' object is not subscriptable" in text
    assert 'look at  run_anywhere: return make_coroutine["result"]' in text


def test_a_stub_is_not_solved_yet_even_where_something_swallows_its_exception() -> None:
    def run_anywhere(make_coroutine: Any) -> Any:
        try:
            todo()
        except Exception:
            return "anything"

    verdict = run_check("0.1", run_anywhere)
    assert verdict.state == "not solved yet"
    assert verdict.text == "0.1 is not solved yet, as expected: replace todo() with your code"


def test_a_stub_that_never_ends_is_not_solved_yet() -> None:
    def run_anywhere(make_coroutine: Any) -> Any:
        while True:
            try:
                todo()
            except Exception:
                time.sleep(0.1)

    assert run_check("0.1", run_anywhere, seconds=0.5).state == "not solved yet"


def test_calling_a_stub_oneself_is_one_line() -> None:
    with pytest.raises(LabError, match=r"^not solved yet: replace todo\(\) with your code$"):
        todo()


def test_what_cannot_leave_the_notebook_is_named() -> None:
    lock = threading.Lock()

    def run_anywhere(make_coroutine: Any) -> Any:
        with lock:
            return None

    text = run_check("0.1", run_anywhere).text
    assert "it uses `lock`, a lock, which cannot leave the notebook" in text
    assert "make `lock` inside run_anywhere" in text


def test_an_unknown_exercise_names_those_there_are() -> None:
    with pytest.raises(LabError, match=r"^there is no exercise '1\.9'; there are 0\.1, 1\.1, 1\.2, 1\.3"):
        check("1.9", wrong())


def test_a_check_without_an_answer_is_one_line() -> None:
    with pytest.raises(LabError, match="needs your answer as well"):
        check("0.1")


def test_a_process_is_kept_after_an_accepted_answer_and_replaced_after_any_other() -> None:
    def pid() -> int:
        assert exercises._worker
        return exercises._worker.pid

    run_check("0.1", right())
    first = pid()
    run_check("0.1", right())
    assert pid() == first
    run_check("0.1", wrong())
    assert pid() != first


def test_a_process_that_died_since_is_replaced() -> None:
    run_check("0.1", right())
    assert exercises._worker
    exercises._worker._process.kill()
    exercises._worker._process.wait()
    assert run_check("0.1", right()).state == "solved"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not interrupt a wait for a lock")
def test_interrupting_the_kernel_ends_the_check_and_the_next_one_works() -> None:
    def run_anywhere(make_coroutine: Any) -> Any:
        time.sleep(3600)

    run_check("0.1", right())
    # A real signal to the main thread, as the kernel gets: interrupt_main would not wake it from its wait.
    timer = threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            run_check("0.1", run_anywhere)
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert run_check("0.1", right()).state == "solved"


def test_in_a_notebook_a_verdict_is_words_and_a_box_without_the_answers_markup() -> None:
    script = """
        from IPython.core.interactiveshell import InteractiveShell
        from IPython.utils.capture import capture_output
        import json
        InteractiveShell.instance()
        from lab import check, progress
        def run_anywhere(make_coroutine):
            print("<script>")
        with capture_output() as captured:
            check("0.1", run_anywhere)
            progress()
        print(json.dumps([output.data for output in captured.outputs]))
    """
    lines = "\n".join(line[8:] for line in script.splitlines())
    done = subprocess.run([sys.executable, "-c", lines], cwd=exercises.ROOT, capture_output=True, text=True, check=True)
    verdict, table = json.loads(done.stdout)
    assert verdict["text/plain"].startswith("0.1 not yet\ncalled   run_anywhere")
    assert verdict["text/html"].startswith('<div class="alert alert-warning"')
    assert "<strong>0.1 not yet</strong><pre>called " in verdict["text/html"]
    assert "&lt;script&gt;" in verdict["text/html"]
    assert "<script>" not in verdict["text/html"]
    assert table["text/html"].startswith("<table><caption>0 of ")


# What a message shows of a value


def test_a_value_is_shown_shortly_and_the_same_in_every_run() -> None:
    class Thing:
        pass

    assert shown(list(range(100))).startswith("[0, 1, 2,")
    assert len(shown(["x" * 1000] * 1000)) <= 200
    assert " 0x" not in shown(Thing())
    assert told(ValueError("a line\nanother")) == "raised ValueError: a line"
    assert told(KeyboardInterrupt()) == "raised KeyboardInterrupt"


# What is solved


def test_a_solved_exercise_is_remembered_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("9.9")  # as an editor leaves it, without an end of line
    check("0.1", right())
    check("0.1", right())
    assert file.read_text() == "9.9\n0.1\n"
    assert capsys.readouterr().out.startswith("0.1 solved: ")
    progress()
    head, first, *rest = capsys.readouterr().out.splitlines()
    assert head == f"1 of {1 + len(rest)} solved"
    assert first.startswith("0.1  ")
    assert first.endswith("  solved")
    assert all(line.endswith("  not yet") for line in rest)


def test_what_is_not_solved_is_not_remembered(file: Path) -> None:
    check("0.1", wrong())
    assert not file.exists()


def test_a_broken_progress_file_is_one_line_after_the_verdict_and_is_left_alone(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    check("0.1", right())
    verdict, trouble = capsys.readouterr().out.splitlines()
    assert verdict.startswith("0.1 solved")
    assert trouble == "progress.txt cannot be read: it is not a text file"
    assert file.read_bytes() == b"\xff\xfe\x00"


def test_a_progress_file_that_cannot_be_written_is_one_line_after_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LAB_PROGRESS", str(tmp_path / "no such folder" / "solved.txt"))
    check("0.1", right())
    verdict, trouble = capsys.readouterr().out.splitlines()
    assert verdict.startswith("0.1 solved")
    assert trouble.startswith("progress.txt cannot be written: ")


# Hints


@pytest.fixture
def notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A chapter's notebook with two hints for exercise 1.3."""
    monkeypatch.setattr(exercises, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(exercises, "_hints_given", {})
    cells = [
        "### Exercise 1.2 · Another · 10 min\n\n<details><summary>Hint 1: not this one</summary>no</details>",
        "### Exercise 1.3 · Fan out · 10 min\n",
        "<details><summary>Hint 1: what to look at</summary>\n\n`peak`\n\n</details>\n"
        "<details><summary>Hint 2: the tool</summary>\n\n```python\n# a comment\n```\n\n</details>",
        "## Recap\n\n<details><summary>Hint 9: nor this</summary>no</details>",
    ]
    path = tmp_path / "01_wsgi_vs_asgi.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "markdown", "source": text} for text in cells]}))
    return path


def test_each_hint_goes_further_and_the_last_word_is_where_the_solution_is(
    notebook: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hint("1.3")
    assert capsys.readouterr().out == "**1.3, hint 1 of 2: what to look at**\n\n`peak`\n"
    hint("1.3")
    assert capsys.readouterr().out == "**1.3, hint 2 of 2: the tool**\n\n```python\n# a comment\n```\n"
    hint("1.3")
    last = "1.3: no hint is left. The solution, with its reasons: solutions/01_wsgi_vs_asgi.ipynb\n"
    assert capsys.readouterr().out == last


def test_a_notebook_that_cannot_be_read_is_one_line(notebook: Path) -> None:
    notebook.write_text("{")
    with pytest.raises(LabError, match=r"^notebooks/01_wsgi_vs_asgi\.ipynb cannot be read as a notebook$"):
        hint("1.3")
