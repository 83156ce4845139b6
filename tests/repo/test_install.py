"""The first step on a fresh machine says in one line what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.notebooks import ROOT

INSTALL = ROOT / ".ci" / "install.py"


def complaint(stamp: Path, *, before: str = "pass", path: str = "") -> str:
    """What install.py says before it ends, on a machine without uv, after `before` has run in its process."""
    code = f"import sys; {before}; import runpy; runpy.run_path({str(INSTALL)!r}, run_name='__main__')"
    environment = {**os.environ, "PATH": os.defpath, "PYTHONPATH": path}
    arguments = [sys.executable, "-c", code, str(stamp), "-r", "requirements.txt"]
    ended = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert not stamp.exists()
    return ended.stderr


@pytest.mark.parametrize(
    ("version", "age"),
    [("(3, 10, 13)", "3.10 is too old"), ("(2, 7, 18)", "2.7 is too old"), ("(3, 15, 0)", "3.15 is too new")],
)
def test_a_python_out_of_range_is_one_line_with_the_fix(tmp_path: Path, version: str, age: str) -> None:
    told = complaint(tmp_path / "environment" / "stamp", before=f"sys.version_info = {version}")
    assert told == f"Python {age}: install one of Python 3.11 to 3.14 and name it, as in `make lab PYTHON=python3.13`\n"


def test_a_python_without_ensurepip_is_one_line_with_the_fix(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError")
    told = complaint(tmp_path / "environment" / "stamp", path=str(tmp_path))
    assert told.startswith("this Python cannot make environments: install uv, or on Debian and Ubuntu `apt install")
    assert told.count("\n") == 1


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    assert "is not an environment" in complaint(tmp_path / "stamp")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
