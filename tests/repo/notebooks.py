"""Reads notebooks and says what is wrong with them. A rule yields one complaint a fault; no complaint is good."""

import ast
import os
import re
import statistics
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parents[2]
Notebook = Any  # an nbformat.NotebookNode: a dict whose keys are attributes too

WIDGET = "application/vnd.jupyter.widget-view+json"
UNCOMPARED = {"text/html", "image/png", "image/jpeg", WIDGET}
UNCOMPARED_TAGS = {"nbval-ignore-output", "nbval-skip"}


def paths(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).glob("*.ipynb"))


def read(path: Path) -> Notebook:
    """The notebook. Where warnings are errors, cell ids that are missing or not unique raise."""
    return nbformat.read(path, as_version=4)


def code_cells(notebook: Notebook) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: Any) -> set[str]:
    return set(cell.metadata.get("tags", []))


def prose(notebook: Notebook) -> Iterator[tuple[int, str]]:
    return ((n, cell.source) for n, cell in enumerate(notebook.cells) if cell.cell_type == "markdown")


def name(n: int) -> str:
    return f"code cell {n + 1}"


# What a stored notebook is made of


def normal(notebook: Notebook) -> Notebook:
    """The notebook without what differs between two runs and is never compared. Changes it in place."""
    notebook.nbformat_minor = 5
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        for key in ("execution", "ExecuteTime", "collapsed", "scrolled", "trusted"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)
                if "traceback" in output:
                    output.traceback = [without_folders(line) for line in output.traceback]
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    return notebook


def without_folders(traceback: str) -> str:
    """Names a file as a reader would: from the package, or from this folder."""
    home, root = str(Path.home()), str(ROOT)
    for folder in (root, root.replace(home, "~", 1)):
        traceback = traceback.replace(folder + os.sep, "")
    start = r"(?:~|[A-Z]:)?[/\\][^\s\x1b\"']*"
    traceback = re.sub(start + r"[/\\](?:site-packages|lib[/\\]python3\.\d+|Lib)[/\\]", "", traceback)
    return re.sub(start + r"ipykernel_\d+[/\\]\d+\.py", "cell", traceback)


def abnormal(notebook: Notebook) -> Iterator[str]:
    before = nbformat.writes(notebook)
    if nbformat.writes(normal(nbformat.reads(before, as_version=4))) != before:
        yield "holds what differs between two runs, such as widget state or an editor's metadata"


def unexecuted(notebook: Notebook) -> Iterator[str]:
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"was not run once from top to bottom: execution counts are {counts}"


def failing(notebook: Notebook) -> Iterator[str]:
    for n, cell in enumerate(code_cells(notebook)):
        errors = [output for output in cell.outputs if output.output_type == "error"]
        if errors and "raises-exception" not in tags(cell):
            yield f"{name(n)} raised {errors[0].ename}: {errors[0].evalue}"
        if not errors and "raises-exception" in tags(cell):
            yield f"{name(n)} is tagged raises-exception and raises nothing"


# What an output may say


def texts(output: Any) -> Iterator[tuple[str, str]]:
    """Each kind of text in an output, pictures left out: (kind, text)."""
    if output.output_type == "stream":
        yield output.name, output.text
    for kind in ("ename", "evalue"):
        if kind in output:
            yield kind, output[kind]
    if "traceback" in output:
        yield "traceback", re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))
    for kind, value in output.get("data", {}).items():
        if isinstance(value, str) and not kind.startswith("image/"):
            yield kind, re.sub(r"data:image/[^\"']*", "", value)


def compared(cell: Any) -> Iterator[str]:
    """What strict nbval compares of a cell."""
    if not tags(cell) & UNCOMPARED_TAGS:
        for output in cell.outputs:
            for kind, text in texts(output):
                if kind not in UNCOMPARED | {"stderr", "traceback"}:
                    yield text


LEAKS = {
    "a folder of this machine": re.compile(
        "|".join(
            [re.escape(str(folder)) + r"\b" for folder in {ROOT, Path.home(), Path(tempfile.gettempdir())}]
            + [r"(?<![\w.])/(?:home|root|tmp|Users|private|var)/", r"\b[A-Z]:\\\w"]
        )
    ),
    "a process": re.compile(r"\bpid\W{0,3}\d+|\bprocess \[?\d{2,}|ipykernel_\d+", re.IGNORECASE),
    "a port": re.compile(r"(?:127\.0\.0\.1|localhost|\[::1\])['\"]?(?::|, )\d{5}\b"),
    "an address of an object": re.compile(r"\b0x[0-9a-f]{6,}|<[\w.]+ object\b"),
}
RAW_TIME = re.compile(r"(?<![\w.])\d+\.\d+ ?(?:[mµun]?s|(?:milli|micro)?seconds)\b")


def leaks(notebook: Notebook) -> Iterator[str]:
    for n, cell in enumerate(code_cells(notebook)):
        for output in cell.outputs:
            for _, text in texts(output):
                for what, pattern in LEAKS.items():
                    if found := pattern.search(text):
                        yield f"{name(n)} shows {what}: {found[0]}"
        for text in compared(cell):
            if found := RAW_TIME.search(text):
                yield f"{name(n)} compares a raw time: {found[0]}. Tag it nbval-ignore-output, or claim a bound"


def comparing(notebook: Notebook) -> tuple[int, int]:
    """How many code cells with outputs strict nbval compares, and how many there are."""
    cells = [cell for cell in code_cells(notebook) if cell.outputs]
    return sum(any(compared(cell)) for cell in cells), len(cells)


class Figures(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.captions: list[str] | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "figure":
            self.captions = []
        elif tag == "figcaption" and self.captions is not None:
            self.captions.append("")
        elif tag == "img":
            if not (dict(attributes).get("alt") or "").strip():
                self.complaints.append("has a picture without alt text")
            if self.captions is None:
                self.complaints.append("has a picture outside a <figure>")
        elif tag == "svg":
            self.complaints.append("has an inline <svg>, which an untrusted notebook does not show")

    def handle_data(self, data: str) -> None:
        if self.captions:
            self.captions[-1] += data.strip()

    def handle_endtag(self, tag: str) -> None:
        if tag == "figure":
            if not any(self.captions or []):
                self.complaints.append("has a figure without a caption")
            self.captions = None


def figures(notebook: Notebook) -> Iterator[str]:
    for n, cell in enumerate(code_cells(notebook)):
        for output in cell.outputs:
            data = output.get("data", {})
            for kind in data:
                if kind.startswith("image/"):
                    yield f"{name(n)} stores {kind}, which has no alt text"
            for complaint in Figures(data.get("text/html", "")).complaints:
                yield f"{name(n)} {complaint}"


# What prose may say

UNITS = {"ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9, "s": 1.0, "seconds": 1.0, "milliseconds": 1e-3}
COUNTED = r"requests? (?:a|per) second|req/s|rps|[kM]i?B|GB"
MEASURED = re.compile(rf"(?<![\w.])(\d[\d,]*(?:\.\d+)?)[ \u00a0-]?({'|'.join(UNITS)}|{COUNTED})\b(?!\.\w)")


def literals(code: str) -> set[float]:
    """The numbers that code sets, also in a query such as "/wait?seconds=0.3". A cell with a magic is read by line."""
    found: set[float] = set()
    for piece in [code, *code.splitlines()]:
        try:
            tree = ast.parse(piece.strip())
        except SyntaxError:
            continue
        constants = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        for value in constants:
            if isinstance(value, str):
                found |= {float(number) for number in re.findall(r"=(\d+(?:\.\d+)?)", value)}
            elif isinstance(value, (int, float)):
                found.add(float(value))
    return found


def measured_prose(notebook: Notebook, also_set: str = "") -> Iterator[str]:
    """A number with a unit in prose must be set by the chapter's code (or by `also_set`), or be quoted as `code`."""
    settings = set().union(literals(also_set), *(literals(cell.source) for cell in code_cells(notebook)))
    for n, text in prose(notebook):
        for number, unit in MEASURED.findall(re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)):
            value = float(number.replace(",", ""))
            if not any(abs(value * UNITS.get(unit, 1) - one) < 1e-9 or value == one for one in settings):
                yield f"cell {n + 1} says “{number} {unit}” in prose, and no code of the chapter sets that"


# How a chapter reads


def long_cells(notebook: Notebook) -> Iterator[str]:
    lengths = [len([line for line in cell.source.splitlines() if line.strip()]) for cell in code_cells(notebook)]
    if statistics.median(lengths or [0]) > 6:
        yield f"has a median code cell of {statistics.median(lengths):g} lines; 6 is the limit"
    long = [f"{name(n)}: {length}" for n, length in enumerate(lengths) if length > 15]
    if len(long) > len(lengths) / 10:
        yield f"has {len(long)} of {len(lengths)} code cells over 15 lines; a tenth is the limit ({', '.join(long)})"


BOX = {
    "the minutes": r"\b\d+ min",
    "what you need": r"you need",
    "what you will be able to do": r"you will be able to",
    "the versions": r"\bversions?\b",
}


def incomplete_title(notebook: Notebook) -> Iterator[str]:
    opening = "\n".join(cell.source for cell in notebook.cells[:3] if cell.cell_type == "markdown")
    if not opening.startswith("# "):
        yield "does not start with its title"
    for what, pattern in BOX.items():
        if not re.search(pattern, opening, re.IGNORECASE):
            yield f"does not say {what} in the box under its title"


def minutes(notebook: Notebook) -> int:
    opening = "\n".join(cell.source for cell in notebook.cells[:3] if cell.cell_type == "markdown")
    found = re.search(r"\b(\d+) min", opening)
    return int(found[1]) if found else 0
