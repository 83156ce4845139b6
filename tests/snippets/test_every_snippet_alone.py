"""Each snippet is copied, alone, into an empty folder, started with the command of its docstring, and asked."""

import ast
import importlib.metadata
import re
import shlex
import shutil
import sys
from pathlib import Path

import httpx
import pytest

from lab import launch

ROOT = Path(__file__).parents[2]
# not gunicorn.conf.py, which no Python can import: test_deployment.py has gunicorn read it
SNIPPETS = sorted(path for path in (ROOT / "app_snippets").glob("*/*.py") if path.stem.isidentifier())
SNIPPETS = [path for path in SNIPPETS if path.name != "__init__.py"]
LONGER = {"deployment/service.py": 145}  # the one that puts together what the others show, to be taken as it is
COMMAND = re.compile(
    r"((?:[A-Z_]+=(?:'[^']*'|\S+) +)*)((?:uvicorn|waitress-serve) (?:\S+ )*?\w+:\w+(?: --\S+)*)"
    r"(?:\s+then\s+curl -i ['\"]?http://127\.0\.0\.1:8000([^\s'\"]+)['\"]?)?$",
    re.M,
)


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def runs() -> list[object]:
    """Every command of every docstring: its file, environment, command line, and the path to ask for."""
    found = []
    for path in SNIPPETS:
        for settings, command, asked in COMMAND.findall(docstring(path)):
            found.append(
                pytest.param(path, settings, command, asked or "/", id=f"{path.parent.name}/{path.stem}: {command}")
            )
    return found


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_it_says_what_it_shows_costs_and_needs_and_how_to_run_it(path: Path) -> None:
    text = docstring(path)
    for word in ("Shows:", "Costs:", "Needs:", "Run:"):
        assert word in text, f"{path.name} does not say {word}"
    assert COMMAND.search(text), f"{path.name} gives no command to run it"
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    assert len(lines) <= LONGER.get(path.relative_to(ROOT / "app_snippets").as_posix(), 60)


@pytest.mark.parametrize("path", SNIPPETS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_it_imports_comes_with_what_it_needs(path: Path) -> None:
    needed = re.search(r"^Needs:\s+(.+)$", docstring(path), re.M)
    assert needed
    installed = {name.lower() for name in needed[1].split()}
    for name in list(installed):  # and what those need in turn, one step down: starlette and pydantic come with fastapi
        installed |= {re.split(r"[^\w-]", line)[0].lower() for line in importlib.metadata.requires(name) or []}
    installed |= {re.split(r"[^\w-]", line)[0].lower() for line in importlib.metadata.requires("starlette") or []}
    for module, packages in importlib.metadata.packages_distributions().items():  # fastapi_cache, of fastapi-cache2
        installed |= {module} if installed & {package.lower() for package in packages} else set()
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a snippet has no neighbours to import"
            imported.add((node.module or "").split(".")[0])
    assert imported - sys.stdlib_module_names <= installed


@pytest.mark.parametrize(("path", "settings", "command", "asked"), runs())
def test_alone_in_an_empty_folder_it_starts_and_answers(
    path: Path, settings: str, command: str, asked: str, tmp_path: Path
) -> None:
    shutil.copy(path, tmp_path)
    arguments = shlex.split(command.replace("127.0.0.1:8000", "127.0.0.1:{port}"))
    if arguments[0] == "uvicorn":
        arguments += ["--port", "{port}"]
    environment = dict(pair.split("=", 1) for pair in shlex.split(settings))
    with launch(arguments, cwd=tmp_path, env=environment) as server:
        response = httpx.get(server.url + asked, timeout=30)
    promised = re.search(r"the answer is (\d+)", docstring(path))
    assert response.status_code == (int(promised[1]) if promised else 200), response.text
    assert response.content
