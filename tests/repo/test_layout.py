"""One topic has one name everywhere, and nothing points at what is not there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from tests.repo import layout
from tests.repo.notebooks import ROOT

Rule = Callable[[Path], Iterator[str]]


@pytest.mark.parametrize("rule", [layout.misnamed, layout.unmentioned, layout.without_a_way_on, layout.dangling])
def test_the_folder_keeps_the_rule(rule: Rule) -> None:
    if complaints := list(rule(ROOT)):
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """A course of one chapter in which nothing is wrong."""
    for place in (
        "app_snippets/caching/__init__.py",
        "app_snippets/caching/per_user.py",
        "lab/checks/__init__.py",
        "lab/checks/caching.py",
        "tests/snippets/test_caching.py",
        "tests/wrong_answers/caching/5_1_no_expiry.py",
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    for folder in ("notebooks", "solutions"):
        chapter = tmp_path / folder / "05_caching.ipynb"
        chapter.parent.mkdir()
        cells = [v4.new_markdown_cell("[start](05_caching.ipynb#top)"), v4.new_code_cell("import per_user")]
        nbformat.write(v4.new_notebook(cells=cells), chapter)
    (tmp_path / "README.md").write_text(
        "`lab/checks/caching.py`, `lab/checks/TOPIC.py`, [x](lab), [y](https://example.org)"
    )
    return tmp_path


def test_nothing_is_wrong_with_a_course_in_order(course: Path) -> None:
    assert [*layout.misnamed(course), *layout.unmentioned(course), *layout.dangling(course)] == []


@pytest.mark.parametrize(
    "gone",
    [
        "solutions/05_caching.ipynb",
        "app_snippets/caching/__init__.py",
        "lab/checks/caching.py",
        "tests/snippets/test_caching.py",
    ],
)
def test_a_missing_part_of_a_chapter_is_noticed(course: Path, gone: str) -> None:
    (course / gone).unlink()
    assert list(layout.misnamed(course)) == [f"notebooks/05_caching.ipynb has no {gone}"]


@pytest.mark.parametrize(
    "stray",
    [
        "solutions/06_cachings.ipynb",
        "lab/checks/cache.py",
        "tests/snippets/test_cache.py",
        "tests/wrong_answers/cache/",
        "app_snippets/cache/",
    ],
)
def test_a_part_of_no_chapter_is_noticed(course: Path, stray: str) -> None:
    path = course / stray
    path.mkdir() if stray.endswith("/") else path.touch()
    assert list(layout.misnamed(course)) == [f"{stray.rstrip('/')} belongs to no chapter"]


def test_a_part_of_a_planned_chapter_may_come_first(course: Path) -> None:
    (course / "app_snippets/request_lifecycle").mkdir()
    assert list(layout.misnamed(course)) == ["app_snippets/request_lifecycle belongs to no chapter"]
    (course / "README.md").write_text("Planned: 01 request lifecycle, 06 security.")
    assert list(layout.misnamed(course)) == []


def test_a_snippet_without_mention_is_noticed(course: Path) -> None:
    (course / "app_snippets/caching/forgotten.py").touch()
    complaint = "app_snippets/caching/forgotten.py is not mentioned by notebooks/05_caching.ipynb"
    assert list(layout.unmentioned(course)) == [complaint]


def test_a_chapter_without_a_way_to_the_next_is_noticed(course: Path) -> None:
    end = v4.new_markdown_cell("**Next:** caching, soon.")
    nbformat.write(v4.new_notebook(cells=[end]), course / "notebooks/04_pooling.ipynb")
    complaint = "notebooks/04_pooling.ipynb does not lead to 05_caching.ipynb at its end"
    assert list(layout.without_a_way_on(course)) == [complaint]


@pytest.mark.parametrize(
    "text", ["[x](nowhere.md)", '<img src="gone.png" alt="">', "`lab/gone.py`", "[x](nowhere.md#part)"]
)
def test_a_link_into_nothing_is_noticed(course: Path, text: str) -> None:
    (course / "CONTRIBUTING.md").write_text(text)
    assert len(list(layout.dangling(course))) == 1
