"""Writes a benchmark's section of RESULTS.md, and says whether its bounds hold."""

import os
import platform
import re
import sys
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """# Results

Every section is written by a run of its benchmark (`make bench`).
Read the ratios: the figures are those of one machine.
"""


def store(name: str, what: str, table: list[list[str]], bounds: dict[str, bool], packages: list[str]) -> int:
    """Replaces the section of this benchmark, prints it, and returns the exit code: 1 when a bound is missed.

    `table` has its headings as the first row. `bounds` are sentences, and whether they hold.
    """
    heading, *rows = [f"| {' | '.join(row)} |" for row in table]
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    section = "\n".join(
        [
            f"<!-- {name} -->",
            f"## {name}",
            "",
            what,
            "",
            heading,
            "|---" * len(table[0]) + "|",
            *rows,
            "",
            *(f"- {'holds' if holds else 'MISSED'}: {sentence}" for sentence, holds in bounds.items()),
            "",
            f"{platform.system()}, {cores} cores, Python {platform.python_version()}, {versions}",
            f"<!-- end of {name} -->\n",
        ]
    )
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else HEAD
    old = re.compile(rf"<!-- {name} -->.*<!-- end of {name} -->\n", re.DOTALL)
    text = old.sub(lambda _: section, text) if old.search(text) else f"{text}\n{section}"
    RESULTS.write_text(text, encoding="utf-8")
    print(section)
    return 0 if all(bounds.values()) else 1
