"""Notebooks run for real: nbval compares words and not pictures, refresh stores what a reader may see."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import v4

from tests.repo.notebooks import ROOT, abnormal, read
from tests.repo.refresh import refresh

FIGURE = """import os
from IPython.display import display
html = f"<figure><img alt='a' src='data:image/png;base64,{os.urandom(4).hex()}'></figure>"
display({"text/html": html, "text/plain": "nine bars"}, raw=True)"""
PROGRESS = """import os, pathlib
pathlib.Path(os.environ["LAB_PROGRESS"]).exists(), pathlib.Path(os.environ["LAB_PROGRESS"]).write_text("1.1")"""
RAISES: dict[str, Any] = {"tags": ["raises-exception"]}


@pytest.fixture(autouse=True)
def same_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PROGRESS", os.environ["LAB_PROGRESS"])  # refresh changes it


def notebook_of(path: Path, *cells: Any) -> Path:
    nbformat.write(
        v4.new_notebook(cells=[v4.new_code_cell(one) if isinstance(one, str) else one for one in cells]), path
    )
    return path


def test_nbval_compares_words_and_neither_pictures_nor_warnings(tmp_path: Path) -> None:
    shutil.copy(ROOT / "conftest.py", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    first = notebook_of(
        tmp_path / "first.ipynb", FIGURE, "import sys; print(os.getpid(), file=sys.stderr)", "print(1)", PROGRESS
    )
    assert refresh(first) == ("", True)
    second = tmp_path / "second.ipynb"
    second.write_text(first.read_text().replace('nine bars"', 'ten bars"', 1).replace('"1\\n"', '"2\\n"'))
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--color=no", "-p", "no:cacheprovider", str(first), str(second)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
    )
    failures = [line.split(" - ")[0] for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    assert failures == ["FAILED second.ipynb::Cell 0", "FAILED second.ipynb::Cell 2"], ran.stdout
    assert "6 passed" in ran.stdout


def test_refresh_stores_outputs_without_what_differs_between_machines(tmp_path: Path) -> None:
    path = notebook_of(
        tmp_path / "a.ipynb",
        "import ipywidgets; ipywidgets.IntSlider()",
        v4.new_code_cell("import asyncio; asyncio.run(None)", metadata=RAISES),
        "print(1)\nprint(2)",
    )
    assert refresh(path) == ("", True)
    stored = read(path)
    assert [cell.execution_count for cell in stored.cells] == [1, 2, 3]
    assert list(abnormal(stored)) == []
    assert stored.cells[0].outputs[0].data == {"text/plain": "IntSlider(value=0)"}
    assert any("asyncio/runners.py" in line.replace("\\", "/") for line in stored.cells[1].outputs[0].traceback)
    assert str(Path.home()) not in path.read_text()
    assert stored.cells[2].outputs[0].text == "1\n2\n"
    written = path.stat().st_mtime_ns
    assert refresh(path) == ("", False)
    assert path.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("1 / 0", "not stored: code cell 1 raised ZeroDivisionError: division by zero"),
        (
            v4.new_code_cell("1", metadata=RAISES),
            "not stored: code cell 1 is tagged raises-exception and raises nothing",
        ),
        ("import os; os._exit(1)", "not stored: Kernel died"),
    ],
)
def test_refresh_leaves_a_notebook_that_fails_as_it_was(tmp_path: Path, cell: Any, why: str) -> None:
    path = notebook_of(tmp_path / "a.ipynb", cell)
    before = path.read_text()
    assert refresh(path) == (why, False)
    assert path.read_text() == before
