"""Takes the README's picture by a run: `python -m tests.browser.screenshot` writes .github/screenshot.png."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.jupyterlab import ROOT, JupyterLab, NotebookPage, launch_browser

NOTEBOOK = "notebooks/01_wsgi_vs_asgi.ipynb"
CELL = "timelines("  # the first one: the picture ends below its figure


def main() -> None:
    target = ROOT / ".github" / "screenshot.png"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, JupyterLab(Path(folder)) as lab, sync_playwright() as playwright:
        browser = launch_browser(playwright)
        notebook = NotebookPage(browser, lab, NOTEBOOK)
        try:
            notebook.turn("Light")
            notebook.restart_and_run_all(seconds=300)
            if failed := notebook.failed():
                raise SystemExit(failed[0])
            index = next(cell["index"] for cell in notebook.code_cells() if cell["source"].startswith(CELL))
            notebook.show_end_of(index)
            notebook.page.screenshot(path=target)
        finally:
            notebook.close()
            browser.close()
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
