"""One list of packages and Python versions; every other file follows it."""

import pytest

from tests.repo import requirements
from tests.repo.notebooks import ROOT

TEXTS = requirements.read(ROOT)


def test_no_file_disagrees_with_pyproject() -> None:
    if complaints := list(requirements.disagreements(TEXTS)):
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("pyproject.toml", '"waitress>=3.0,<4"', '"waitress>=4,<5"', "pins waitress"),
        ("pyproject.toml", '"waitress>=3.0,<4"', '"waitress>=3.0,<4", "flask>=3"', "no pin of flask"),
        ("pyproject.toml", '"codespell>=2.4,<3"', '"codespell>=1,<2"', "requirements-dev.txt pins codespell"),
        ("pyproject.toml", 'requires-python = ">=3.11,<3.15"', 'requires-python = ">=3.12,<3.15"', "workflow runs on"),
        (
            "pyproject.toml",
            'requires-python = ">=3.11,<3.15"',
            'requires-python = ">=3.11,<3.16"',
            "install.py does not",
        ),
        ("pyproject.toml", "[tool.uv]", "[[tool.uv.index]]\n[tool.uv]", "names a package index"),
        ("requirements.txt", "waitress==", "waitress>=", "no pin: waitress"),
        ("requirements.txt", "waitress==", "waitress==0.", "differ in waitress"),
        ("requirements.txt", "anyio==", "--index-url https://example.org/simple\nanyio==", "names a package index"),
        ("requirements-dev.txt", "waitress==", "waitress==0.", "differ in waitress"),
        ("requirements-dev.txt", "uvloop", "uv-loop", "differ in uvloop"),
        ("requirements-dev.txt", "sys_platform != 'win32'", "sys_platform == 'linux'", "differ in"),
        ("environment.yml", "python=3.13", "python=3.10", "environment.yml asks"),
        ("environment.yml", "- -r requirements.txt", "- -r requirements.txt\n      - flask", "and that alone"),
        (".github/workflows/test.yml", '"3.14"', '"3.13"', "workflow runs on"),
        ("Makefile", "--python-version 3.11", "--python-version 3.12", "Makefile does not"),
        ("README.md", "Python 3.11 to 3.14", "Python 3.10 to 3.14", "README.md does not"),
        (".ci/install.py", "(3, 15)", "(3, 16)", "install.py does not"),
    ],
)
def test_a_disagreement_is_noticed(file: str, old: str, new: str, complaint: str) -> None:
    assert old in TEXTS[file]
    told = "\n".join(requirements.disagreements({**TEXTS, file: TEXTS[file].replace(old, new)}))
    assert complaint in told
