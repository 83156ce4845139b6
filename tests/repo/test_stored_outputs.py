"""What the notebooks store is real, complete, and says nothing about the machine that ran them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4
from nbformat.warnings import DuplicateCellId

from tests.repo import notebooks
from tests.repo.notebooks import ROOT, Notebook

CHAPTERS = notebooks.paths("notebooks")
ALL = CHAPTERS + notebooks.paths("solutions")
STORED = [
    notebooks.abnormal,
    notebooks.unexecuted,
    notebooks.failing,
    notebooks.leaks,
    notebooks.figures,
]
WRITTEN = [notebooks.long_cells, notebooks.incomplete_title]


def label(value: object) -> str | None:
    if isinstance(value, Path):
        return f"{value.parent.name}/{value.stem}"
    return getattr(value, "__name__", None)


def told(complaints: Iterator[str]) -> None:
    found = list(complaints)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


@pytest.mark.parametrize("path", ALL, ids=label)
@pytest.mark.parametrize("rule", STORED, ids=label)
def test_stored_outputs_keep_the_rule(rule: Callable[[Notebook], Iterator[str]], path: Path) -> None:
    told(rule(notebooks.read(path)))


@pytest.mark.parametrize("path", CHAPTERS, ids=label)
@pytest.mark.parametrize("rule", WRITTEN, ids=label)
def test_a_chapter_keeps_the_rule(rule: Callable[[Notebook], Iterator[str]], path: Path) -> None:
    told(rule(notebooks.read(path)))


@pytest.mark.parametrize("path", ALL, ids=label)
def test_no_prose_holds_a_measured_number(path: Path) -> None:
    snippets = (ROOT / "app_snippets" / path.stem.partition("_")[2]).glob("*.py")
    also_set = "\n".join(snippet.read_text(encoding="utf-8") for snippet in snippets)
    told(notebooks.measured_prose(notebooks.read(path), also_set))


def test_strict_nbval_compares_four_of_five_cells_with_outputs(tell: list[str]) -> None:
    counts = {label(path): notebooks.comparing(notebooks.read(path)) for path in ALL}
    compared, stored = (sum(column) for column in zip(*counts.values(), strict=True))
    each = ", ".join(f"{name} {one[0]} of {one[1]}" for name, one in counts.items())
    tell.append(f"strict nbval compares {compared} of {stored} code cells with outputs: {each}")
    assert compared >= 0.8 * stored > 0, each


# Each rule notices what it is for


def stream(text: str, name: str = "stdout") -> Any:
    return v4.new_output("stream", name=name, text=text)


def shown(**data: str) -> Any:
    return v4.new_output("display_data", {kind.replace("_", "/"): value for kind, value in data.items()})


def of(*cells: Any) -> Notebook:
    return v4.new_notebook(cells=list(cells))


def code(*outputs: Any, source: str = "x", tags: tuple[str, ...] = (), count: int = 1) -> Any:
    metadata = {"tags": list(tags)} if tags else {}
    return v4.new_code_cell(source, outputs=list(outputs), metadata=metadata, execution_count=count)


ERROR = v4.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"])
PICTURE = "<figure><img {}src='data:image/png;base64,AAAA'>{}</figure>"

FAULTS = [
    (notebooks.abnormal, of(code(shown(**{"application_vnd.jupyter.widget-view+json": "{}"})))),
    (notebooks.abnormal, of(v4.new_code_cell("x", metadata={"execution": {}}))),
    (notebooks.unexecuted, of(code(count=1), code(count=3))),
    (notebooks.unexecuted, of(code(count=1), v4.new_code_cell("x"))),
    (notebooks.failing, of(code(ERROR))),
    (notebooks.failing, of(code(tags=("raises-exception",)))),
    (notebooks.leaks, of(code(stream(str(Path.home() / "course"))))),
    (notebooks.leaks, of(code(stream("in /tmp/x/y")))),
    (notebooks.leaks, of(code(stream("C:\\Users\\me")))),
    (notebooks.leaks, of(code(stream("Started server process [4711]", "stderr")))),
    (notebooks.leaks, of(code(shown(text_html="<p>pid 4711</p>")))),
    (notebooks.leaks, of(code(shown(text_plain="http://127.0.0.1:45123/")))),
    (notebooks.leaks, of(code(shown(text_plain="('127.0.0.1', 45123)")))),
    (notebooks.leaks, of(code(shown(text_plain="<function f at 0x7f1c2b3a4d50>")))),
    (notebooks.leaks, of(code(shown(text_plain="<IPython.core.display.HTML object>")))),
    (notebooks.leaks, of(code(stream("took 12.3 ms")))),
    (notebooks.figures, of(code(shown(text_html=PICTURE.format("", "<figcaption>c</figcaption>"))))),
    (notebooks.figures, of(code(shown(text_html=PICTURE.format("alt='a' ", ""))))),
    (notebooks.figures, of(code(shown(text_html=PICTURE.format("alt='a' ", "<figcaption> </figcaption>"))))),
    (notebooks.figures, of(code(shown(text_html="<img alt='a' src='data:image/png;base64,AAAA'>")))),
    (notebooks.figures, of(code(shown(text_html="<svg></svg>")))),
    (notebooks.figures, of(code(shown(image_png="AAAA")))),
    (notebooks.measured_prose, of(v4.new_markdown_cell("It took 12 ms."), code(source="wait(0.1)"))),
    (notebooks.measured_prose, of(v4.new_markdown_cell("7,091 requests a second"))),
    (notebooks.long_cells, of(code(source="x\n" * 7))),
    (notebooks.long_cells, of(code(), code(source="x\n" * 16))),
    (notebooks.incomplete_title, of(v4.new_markdown_cell("# Title\n\n20 min. You need Python. Versions: all."))),
]
FINE = [
    (notebooks.abnormal, notebooks.normal(of(v4.new_markdown_cell("a"), code(stream("x"), tags=("nbval-skip",))))),
    (notebooks.unexecuted, of(code(count=1), v4.new_markdown_cell("a"), code(count=2))),
    (notebooks.failing, of(code(ERROR, tags=("raises-exception",)))),
    (notebooks.leaks, of(code(stream("at least 4 times, 100 ms each, http://127.0.0.1:8000/, /items/1")))),
    (notebooks.leaks, of(code(stream("took 12.3 ms"), tags=("nbval-ignore-output",)))),
    (notebooks.figures, of(code(shown(text_html=PICTURE.format("alt='a' ", "<figcaption>c</figcaption>"))))),
    (notebooks.measured_prose, of(v4.new_markdown_cell("20 waits of 100 ms, for 10 min"), code(source="wait(0.1)"))),
    (notebooks.measured_prose, of(v4.new_markdown_cell("it takes 300 ms"), code(source="load(url + '/?seconds=0.3')"))),
    (notebooks.measured_prose, of(v4.new_markdown_cell("the default is `5 s`"))),
    (notebooks.long_cells, of(*[code() for _ in range(10)], code(source="x\n" * 16))),
]


@pytest.mark.parametrize(("rule", "notebook"), FAULTS, ids=label)
def test_a_rule_notices_a_fault(rule: Callable[[Notebook], Iterator[str]], notebook: Notebook) -> None:
    assert list(rule(notebook))


@pytest.mark.parametrize(("rule", "notebook"), FINE, ids=label)
def test_a_rule_lets_pass_what_is_fine(rule: Callable[[Notebook], Iterator[str]], notebook: Notebook) -> None:
    told(rule(notebook))


def test_a_cell_counts_as_compared_only_when_words_are() -> None:
    words, picture, warning = stream("x"), shown(text_html="<p>x</p>"), stream("x", "stderr")
    ignored = code(words, tags=("nbval-ignore-output",))
    assert notebooks.comparing(of(code(words), code(picture), code(warning), ignored, code())) == (1, 4)


def test_two_cells_of_one_id_are_noticed(tmp_path: Path) -> None:
    notebook = of(v4.new_markdown_cell("a"), v4.new_markdown_cell("b"))
    notebook.cells[1].id = notebook.cells[0].id
    (tmp_path / "a.ipynb").write_text(
        nbformat.writes(of()).replace('"cells": []', f'"cells": {json.dumps(notebook.cells)}')
    )
    with pytest.raises(DuplicateCellId):
        notebooks.read(tmp_path / "a.ipynb")
