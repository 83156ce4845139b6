"""Each chapter as a learner meets it: a fresh copy, in JupyterLab, in a browser, in light and dark.

LAB_SCREENSHOTS=FOLDER writes pictures of what was seen there.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed: no browser test")

from playwright.sync_api import Browser, Locator, sync_playwright

from tests.browser.jupyterlab import ROOT, JupyterLab, NotebookPage, chromium, launch_browser

pytestmark = [
    pytest.mark.skipif(chromium() is None, reason="no Chromium on the PATH: no browser test"),
    pytest.mark.timeout(700),
]
NOTEBOOKS = [path.name for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]
THEMES = ["Light", "Dark"]
NO_WIDGET = "Error displaying widget"
# JupyterLab's own complaint when a kernel is restarted while it still asks for the debugger's state.
NOT_OURS = ("Could not restore the debugger state",)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JupyterLab]:
    with JupyterLab(tmp_path_factory.mktemp("browser")) as lab:
        yield lab


@pytest.fixture(scope="module")
def browser(lab: JupyterLab) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launch_browser(playwright)
        yield browser
        browser.close()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_fresh_copy_shows_its_figures_runs_and_answers_in_light_and_dark(
    name: str, lab: JupyterLab, browser: Browser
) -> None:
    notebook = NotebookPage(browser, lab, f"notebooks/{name}")
    try:
        for theme in THEMES:
            notebook.turn(theme)
            is_fresh_and_shows_what_is_stored(notebook, name)
            photograph(notebook, name, theme, "stored")
        runs_from_top_to_bottom(notebook)
        for theme in THEMES:
            notebook.turn(theme)
            scores_a_prediction(notebook)
            for panel in panels(notebook):
                plays(notebook, panel)
            photograph(notebook, name, theme, "run")
            assert notebook.illegible() == []
        assert notebook.hosts == {"127.0.0.1"}
        assert [said for said in notebook.complaints if not said.startswith(NOT_OURS)] == []
    finally:
        notebook.close()


def is_fresh_and_shows_what_is_stored(notebook: NotebookPage, name: str) -> None:
    cells = notebook.code_cells()
    assert not any(cell["trusted"] for cell in cells if cell["outputs"])
    stored = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"]
    html = [
        "".join(output.get("data", {}).get("text/html", "")) for cell in stored for output in cell.get("outputs", [])
    ]
    figures = notebook.figures()
    assert len(figures) == "".join(html).count("<figure") > 0
    assert all(figure["drawn"] and figure["alt"].strip() for figure in figures), figures
    assert NO_WIDGET not in notebook.text()
    assert notebook.illegible() == []


def runs_from_top_to_bottom(notebook: NotebookPage) -> None:
    drawn_before = len(notebook.figures())
    notebook.restart_and_run_all(seconds=450)
    cells = notebook.code_cells()
    assert notebook.failed() == []
    for cell in cells:
        if cell["source"].startswith("check("):
            assert "not solved yet, as expected" in notebook.output(cell["index"]).inner_text()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    figures = notebook.figures()
    assert len(figures) == drawn_before
    assert all(figure["drawn"] and figure["alt"].strip() for figure in figures), figures
    assert NO_WIDGET not in notebook.text()


def scores_a_prediction(notebook: NotebookPage) -> None:
    """Chooses by keyboard, runs on, and reads the score."""
    cells = notebook.code_cells()
    asked = next((cell["index"] for cell in cells if "predict(" in cell["source"]), None)
    if asked is None:
        return
    scored = next(cell["index"] for cell in cells if cell["index"] > asked and ".score(" in cell["source"])
    notebook.run(asked)
    choice = notebook.output(asked).get_by_role("button").nth(1)
    said = choice.inner_text()
    choice.focus()
    notebook.page.keyboard.press("Space")
    notebook.output(asked).get_by_text(f"You say {said}.").wait_for()
    for cell in cells:
        if asked < cell["index"] <= scored:
            notebook.run(cell["index"])
    score = notebook.output(scored).inner_text()
    assert f"It was {said}, as you said." in score or f"You said {said}." in score


def panels(notebook: NotebookPage) -> list[int]:
    return [cell["index"] for cell in notebook.code_cells() if re.search(r"^play\(", cell["source"], re.MULTILINE)]


def plays(notebook: NotebookPage, index: int) -> None:
    """Sets a value and presses the button, both by keyboard, and waits for the figure."""
    panel = notebook.output(index)
    if panel.get_by_role("slider").count():
        moves_a_slider(notebook, panel)
    else:
        chooses(notebook, panel)

    button = panel.locator("button.mod-primary")  # "Run": its icon is part of its name
    button.evaluate(
        "button => new MutationObserver(() => { window.wasBusy ||= button.disabled })"
        "    .observe(button, {attributes: true})"
    )
    button.focus()
    notebook.page.keyboard.press("Enter")
    figure = panel.locator(".widget-output figure img").first
    figure.wait_for(timeout=90_000)
    panel.locator("button:enabled").first.wait_for()
    assert notebook.page.evaluate("window.wasBusy") is True
    assert figure.evaluate("image => image.complete && image.naturalWidth > 0 && image.alt !== ''")
    assert panel.locator(".widget-output .alert-danger").count() == 0


def moves_a_slider(notebook: NotebookPage, panel: Locator) -> None:
    slider = panel.get_by_role("slider").first
    before = slider.get_attribute("aria-valuetext")
    notebook.sent.clear()
    slider.focus()
    notebook.page.keyboard.press("ArrowRight")
    after = slider.get_attribute("aria-valuetext")
    assert after != before
    assert panel.locator(".widget-readout").first.inner_text() == after
    notebook.until_sent(f'"value":{after}')


def chooses(notebook: NotebookPage, panel: Locator) -> None:
    notebook.sent.clear()
    other = panel.locator(".widget-toggle-button:not(.mod-active)").first
    other.focus()
    notebook.page.keyboard.press("Space")
    notebook.until_sent('"index":')


def photograph(notebook: NotebookPage, name: str, theme: str, when: str) -> None:
    if folder := os.environ.get("LAB_SCREENSHOTS"):
        notebook.picture(Path(folder), f"{Path(name).stem}-{theme.lower()}-{when}")
