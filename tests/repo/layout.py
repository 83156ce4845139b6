"""Says where the folder breaks its own plan: one topic, one name, everywhere; no link into nothing."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import nbformat

FOLDERS = ("app_snippets", "benchmarks", "lab", "notebooks", "solutions", "tests", ".ci", ".github")
OF_ALL = {"__init__", "__pycache__", "test_every_snippet_alone"}
PAGES = ("README.md", "CONTRIBUTING.md", "INSTRUCTORS.md")


def topics(root: Path) -> dict[str, str]:
    """The chapters: {"wsgi_vs_asgi": "01_wsgi_vs_asgi"}."""
    return {path.stem.partition("_")[2]: path.stem for path in sorted((root / "notebooks").glob("*.ipynb"))}


def planned(root: Path) -> set[str]:
    """Topics that README.md announces: their parts may be there before their notebook."""
    line = re.search(r"^Planned: (.*)$", (root / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return {name.replace(" ", "_") for name in re.findall(r"\d\d ([a-z ]+)", line[1])} if line else set()


def misnamed(root: Path) -> Iterator[str]:
    chapters = topics(root)
    for topic, chapter in chapters.items():
        if not re.fullmatch(r"\d\d_[a-z][a-z0-9_]*", chapter):
            yield f"notebooks/{chapter}.ipynb is not named NN_topic"
        for place in (
            f"solutions/{chapter}.ipynb",
            f"app_snippets/{topic}/__init__.py",
            f"lab/checks/{topic}.py",
            f"tests/snippets/test_{topic}.py",
            f"tests/wrong_answers/{topic}",
        ):
            if not (root / place).exists():
                yield f"notebooks/{chapter}.ipynb has no {place}"
    places = {
        "solutions": ("*.ipynb", "{}"),
        "app_snippets": ("*/", "{}"),
        "lab/checks": ("*.py", "{}"),
        "tests/snippets": ("test_*.py", "test_{}"),
        "tests/wrong_answers": ("*/", "{}"),
    }
    for place, (pattern, form) in places.items():
        names = chapters.values() if place == "solutions" else chapters.keys() | planned(root)
        expected = {form.format(name) for name in names}
        for path in sorted((root / place).glob(pattern)):
            if path.stem not in expected | OF_ALL:
                yield f"{place}/{path.name} belongs to no chapter"


def unmentioned(root: Path) -> Iterator[str]:
    """Snippets that their chapter neither imports nor names."""
    for topic, chapter in topics(root).items():
        notebook = nbformat.read(root / "notebooks" / f"{chapter}.ipynb", as_version=4)
        text = "\n".join(cell.source for cell in notebook.cells)
        for snippet in sorted((root / "app_snippets" / topic).glob("*.py")):
            if snippet.stem != "__init__" and not re.search(rf"\b{snippet.stem}\b", text):
                yield f"app_snippets/{topic}/{snippet.name} is not mentioned by notebooks/{chapter}.ipynb"


def without_a_way_on(root: Path) -> Iterator[str]:
    """Chapters whose recap does not lead to the next one."""
    for chapter, following in pairwise(sorted(topics(root).values())):
        notebook = nbformat.read(root / "notebooks" / f"{chapter}.ipynb", as_version=4)
        if f"]({following}.ipynb)" not in notebook.cells[-1].source:
            yield f"notebooks/{chapter}.ipynb does not lead to {following}.ipynb at its end"


def pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Everything a person reads as prose: (file, text)."""
    for page in PAGES:
        if (root / page).exists():
            yield root / page, (root / page).read_text(encoding="utf-8")
    for folder in ("notebooks", "solutions"):
        for path in sorted((root / folder).glob("*.ipynb")):
            cells = nbformat.read(path, as_version=4).cells
            yield path, "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def dangling(root: Path) -> Iterator[str]:
    """Links to files, and files named as `code` from this folder, that are not there. TOPIC and NN stand for any."""
    for page, text in pages(root):
        where = page.relative_to(root).as_posix()
        linked = re.findall(r"\]\(([^)\s#]+)(?:#[^)]*)?\)|\b(?:src|href)=\"([^\"#]+)\"", text)
        for target in ("".join(pair) for pair in linked):
            if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists():
                yield f"{where} links to {target}, which is not there"
        for target in re.findall(r"`([\w.]+/[\w./]*)`", text):
            named = target.partition("/")[0] in FOLDERS and not re.search(r"TOPIC|topic|NN", target)
            if named and not (root / target).exists():
                yield f"{where} names {target}, which is not there"
