"""Runs notebooks from top to bottom, each on a fresh kernel, and stores their outputs: `make refresh`.

A notebook that fails stays as it was. What is stored of an output is in `tests.repo.notebooks.normal`.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tests.repo import notebooks


def main(arguments: list[str]) -> int:
    chosen = [Path(argument) for argument in arguments] or notebooks.paths("notebooks") + notebooks.paths("solutions")
    failed = 0
    for path in chosen:
        start = time.perf_counter()
        complaint, changed = refresh(path)
        failed += bool(complaint)
        result = complaint or ("stored" if changed else "unchanged")
        print(f"{path.parent.name}/{path.name}  {time.perf_counter() - start:.0f} s  {result}", flush=True)
    return 1 if failed else 0


def refresh(path: Path) -> tuple[str, bool]:
    """Runs and stores one notebook. Returns why it was not stored, or "", and whether the file changed."""
    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=120,
        kernel_name="python3",
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,
        extra_arguments=["--Application.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LAB_PROGRESS"] = str(Path(folder, "progress.txt"))  # each notebook starts with nothing solved
        try:
            client.execute()
        except CellExecutionError:
            return f"not stored: {next(notebooks.failing(notebook))}", False
        except (CellTimeoutError, DeadKernelError) as error:
            return f"not stored: {error}", False
    for complaint in notebooks.failing(notebook):
        return f"not stored: {complaint}", False
    after = nbformat.writes(notebooks.normal(notebook)) + "\n"
    if after != before:
        path.write_text(after, encoding="utf-8", newline="\n")
    return "", after != before


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
