"""Who may import whom: the contracts of pyproject.toml keep a snippet fit to be copied, and the laboratory apart."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.notebooks import ROOT

FILES = {
    "app_snippets/__init__.py": "",
    "app_snippets/caching/__init__.py": "",
    "app_snippets/caching/per_user.py": "import fastapi",
    "app_snippets/caching/single_flight.py": "",
    "app_snippets/security/__init__.py": "",
    "app_snippets/security/bearer.py": "",
    "lab/__init__.py": "",
    "lab/serving.py": "import uvicorn",
}


def broken(folder: Path, **instead: str) -> str:
    """What import-linter says about a small course in which some files are different."""
    for name, text in (FILES | instead).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    shutil.copy(ROOT / "pyproject.toml", folder)
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ran = subprocess.run(
        [sys.executable, "-c", command, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode in (0, 1)
    assert "Contracts: " in ran.stdout, ran.stdout + ran.stderr
    return ran.stdout if ran.returncode else ""


def test_a_course_in_order_breaks_no_contract(tmp_path: Path) -> None:
    assert broken(tmp_path) == ""


@pytest.mark.parametrize(
    ("importer", "imports"),
    [
        ("app_snippets/caching/per_user.py", "import lab"),
        ("app_snippets/caching/per_user.py", "from app_snippets.security import bearer"),
        ("app_snippets/caching/per_user.py", "from app_snippets.caching import single_flight"),
        ("app_snippets/caching/per_user.py", "import matplotlib.pyplot"),
        ("app_snippets/caching/per_user.py", "def later():\n    import tests.repo"),
        ("lab/serving.py", "from app_snippets.caching import per_user"),
        ("lab/serving.py", "import tests.repo.notebooks"),
    ],
)
def test_an_import_that_would_tie_them_is_noticed(tmp_path: Path, importer: str, imports: str) -> None:
    assert "BROKEN" in broken(tmp_path, **{importer: imports})
