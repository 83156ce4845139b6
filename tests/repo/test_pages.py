"""What the pages promise is there: commands, chapters, minutes."""

import re

import pytest

from tests.repo import notebooks
from tests.repo.layout import PAGES
from tests.repo.notebooks import ROOT

TEXTS = {page: (ROOT / page).read_text(encoding="utf-8") for page in PAGES}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_make_command_of_a_page_is_a_target(page: str) -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", TEXTS[page], re.MULTILINE))
    assert named <= set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))


def test_make_alone_lists_every_command() -> None:
    listed = re.findall(r"^make ([a-z]+)", MAKEFILE, re.MULTILINE)
    assert {"help", *listed} == set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[1].split())


@pytest.mark.parametrize("page", ["README.md", "INSTRUCTORS.md"])
def test_a_page_lists_the_chapters_and_their_minutes(page: str) -> None:
    rows = re.findall(r"^\| \[?(\d\d · [^\]|]+?)(?:\]\(.*?\))? \|.*?\b(\d+) \|", TEXTS[page], re.MULTILINE)
    chapters = [notebooks.read(path) for path in notebooks.paths("notebooks")]
    titles = [chapter.cells[0].source.splitlines()[0].removeprefix("# ") for chapter in chapters]
    assert [title for title, _ in rows] == titles
    assert [int(number) for _, number in rows] == [notebooks.minutes(chapter) for chapter in chapters]


def test_the_screenshot_is_a_picture() -> None:
    assert (ROOT / ".github" / "screenshot.png").read_bytes().startswith(b"\x89PNG")


def test_ci_runs_the_two_commands_of_the_pages() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [line for line in script if line.startswith("make")] == ["make test", "make lint"]
    assert "set -euo pipefail" in script
