"""A fresh, untrusted copy of the course in a real JupyterLab, seen through a real Chromium."""

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright

ROOT = Path(__file__).parents[2]
COPIED = ("app_snippets", "lab", "notebooks", "pyproject.toml", "requirements.txt")  # what a chapter reads
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},  # the copy stays as fresh as it was
    "notebook-extension/tracker": {"windowingMode": "none"},  # every cell is drawn, also those below the window
}
CONTRASTS = r"""
() => {
    const numbers = colour => colour.match(/[\d.]+/g).map(Number);
    const behind = element => {
        for (; element; element = element.parentElement) {
            const colour = numbers(getComputedStyle(element).backgroundColor);
            if (colour.length === 3 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const luminance = colour => {
        const [red, green, blue] = colour.slice(0, 3).map(part => part / 255)
            .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const illegible = [];
    for (const element of document.querySelectorAll(":is(.jp-OutputArea, .jp-RenderedMarkdown) *")) {
        const words = [...element.childNodes].filter(node => node.nodeType === Node.TEXT_NODE)
            .map(node => node.textContent).join("").trim();
        if (!words || !element.offsetParent || element.closest("pre")) continue;
        const pair = [luminance(numbers(getComputedStyle(element).color)), luminance(behind(element))];
        const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
        if (contrast < 4.5) illegible.push(`${contrast.toFixed(1)} to 1: ${words.slice(0, 60)}`);
    }
    return illegible;
}
"""
WIDTH, HEIGHT = 1200, 1000  # CSS pixels


def chromium() -> str | None:
    """The path of a Chromium or Chrome, if there is one."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"):
        if path := shutil.which(name):
            return path
    return None


def launch_browser(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium(), args=FLAGS)


class JupyterLab:
    """A server of JupyterLab on a free port, with settings, trust and kernels of its own, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.course, self._state = folder / "course", folder / "state"
        self.course.mkdir(parents=True)
        for name in COPIED:
            if (ROOT / name).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
                shutil.copytree(ROOT / name, self.course / name, ignore=ignored)
            else:
                shutil.copy(ROOT / name, self.course / name)
        for name, value in SETTINGS.items():
            self.set(name, **value)

    def __enter__(self) -> Self:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._token = secrets.token_hex(16)
        self.url = f"http://127.0.0.1:{port}"
        self._log = (self._state / "log.txt").open("w+")
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--LabApp.expose_app_in_browser=True"]
        command += [f"--ServerApp.root_dir={self.course}", "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--allow-root")
        self._process = subprocess.Popen(
            command, cwd=self.course, env=self._environment(), stdout=self._log, stderr=subprocess.STDOUT
        )
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Stops the server and every kernel it started."""
        started = []
        if self._process.poll() is None:
            started = psutil.Process(self._process.pid).children(recursive=True)
            try:
                self._ask("/api/shutdown", method="POST")
                self._process.wait(20)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
        self._process.wait()
        _, left = psutil.wait_procs(started, timeout=5)
        for process in left:
            process.kill()
        self._log.close()

    def set(self, name: str, **values: object) -> None:
        """Stores a user's settings, which pages take when they are opened."""
        file = self._state / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))

    def address(self, path: str) -> str:
        """Where to open a file of the course."""
        return f"{self.url}/lab/tree/{path}?reset&token={self._token}"

    def stop_kernels(self) -> None:
        for session in json.loads(self._ask("/api/sessions")):
            self._ask(f"/api/sessions/{session['id']}", method="DELETE")

    def _environment(self) -> dict[str, str]:
        own = {
            "JUPYTER_CONFIG_DIR": "config",
            "JUPYTER_DATA_DIR": "data",  # signatures of trusted notebooks are here
            "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings",
            "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
            "IPYTHONDIR": "ipython",
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTER", "LAB_"))}
        return kept | {name: str(self._state / folder) for name, folder in own.items()} | {"JUPYTER_TOKEN": self._token}

    def _ask(self, path: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(
            self.url + path, method=method, headers={"Authorization": f"token {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            body: bytes = response.read()
        return body

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                self._ask("/api/status")
                return
            except OSError:
                time.sleep(0.1)
        self._log.seek(0)
        raise RuntimeError(f"JupyterLab did not start:\n{self._log.read()[-3000:]}")


class NotebookPage:
    """A notebook that is open in the browser. What the page asked for and complained about is kept."""

    def __init__(self, browser: Browser, lab: JupyterLab, path: str) -> None:
        self._lab = lab
        self.page: Page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        self.page.set_default_timeout(30_000)
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.sent: list[str] = []  # to the kernel
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("websocket", self._connected)
        self.page.goto(lab.address(path))
        self.page.wait_for_function(
            "() => { const widget = window.jupyterapp?.shell.currentWidget;"
            "        window.notebook = widget?.content; window.session = widget?.context?.sessionContext;"
            "        return widget?.context?.isReady && window.notebook?.widgets.length > 0 }"
        )
        self.idle()

    def turn(self, theme: str) -> None:
        """Changes the theme, "Light" or "Dark", as the Settings menu does."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}"
        )
        self.page.wait_for_function(f"document.body.dataset.jpThemeName === 'JupyterLab {theme}'")
        self.page.wait_for_timeout(500)  # colours change by a transition

    def close(self) -> None:
        self.page.close()
        self._lab.stop_kernels()

    def idle(self) -> None:
        """Waits until the kernel has nothing to do: JupyterLab forgets a run that is asked for earlier."""
        self.page.wait_for_function("session.session?.kernel?.status === 'idle'", timeout=60_000)

    def cells(self) -> list[dict[str, Any]]:
        """The cells as a file would store them now, each with `trusted` and `index`."""
        cells: list[dict[str, Any]] = self.page.evaluate(
            "notebook.widgets.map((cell, index) => ({...cell.model.toJSON(), trusted: cell.model.trusted, index}))"
        )
        for cell in cells:
            cell["source"] = "".join(cell["source"])
        return cells

    def code_cells(self) -> list[dict[str, Any]]:
        return [cell for cell in self.cells() if cell["cell_type"] == "code" and cell["source"].strip()]

    def failed(self) -> list[str]:
        """The cells that raised, each with its error, but for those that are tagged to raise."""
        return [
            f"{output['ename']}: {output['evalue']}\nin the cell\n{cell['source']}"
            for cell in self.code_cells()
            for output in cell["outputs"]
            if output["output_type"] == "error" and "raises-exception" not in cell["metadata"].get("tags", [])
        ]

    def restart_and_run_all(self, seconds: float) -> None:
        self.idle()
        self.page.evaluate(
            "() => { window.ran = false;"
            "        window.jupyterapp.commands.execute('notebook:restart-run-all').finally(() => window.ran = true) }"
        )
        self.page.locator(".jp-Dialog .jp-mod-accept").click()
        self.page.wait_for_function("window.ran", timeout=seconds * 1000)
        self.idle()

    def run(self, index: int) -> None:
        """Runs one cell to its end."""
        self.page.evaluate(
            "async index => { notebook.activeCellIndex = index; notebook.deselectAll();"
            "                 await window.jupyterapp.commands.execute('notebook:run-cell') }",
            index,
        )
        self.idle()

    def output(self, index: int) -> Locator:
        """Where the outputs of a cell are drawn."""
        return self.page.locator(f".jp-Notebook .jp-Cell >> nth={index}").locator(".jp-OutputArea").first

    def figures(self) -> list[dict[str, Any]]:
        figures: list[dict[str, Any]] = self.page.evaluate(
            "[...document.querySelectorAll('.jp-OutputArea figure img')].map("
            "    image => ({alt: image.alt, drawn: image.complete && image.naturalWidth > 0}))"
        )
        return figures

    def text(self) -> str:
        return self.page.locator(".jp-Notebook").inner_text()

    def illegible(self) -> list[str]:
        """What the outputs show with less contrast than 4.5 to 1 (WCAG 2.2, 1.4.3), with its contrast."""
        found: list[str] = self.page.evaluate(CONTRASTS)
        return found

    def until_sent(self, part: str) -> None:
        """Waits until the page has sent the kernel a message with `part` in it."""
        deadline = time.monotonic() + 10
        while not any(part in frame for frame in self.sent):
            if time.monotonic() > deadline:
                raise AssertionError(f"the kernel was never sent {part}")
            self.page.wait_for_timeout(20)

    def show_end_of(self, index: int) -> None:
        """Scrolls until the last output of a cell is the last thing that is seen, and puts the side panel away."""
        self.page.evaluate("window.jupyterapp.shell.collapseLeft()")
        self.page.evaluate("index => { notebook.activeCellIndex = index; notebook.deselectAll() }", index)
        self.page.wait_for_timeout(500)  # the notebook scrolls to its active cell first
        self.output(index).evaluate("area => area.scrollIntoView({block: 'end'})")
        self.page.wait_for_timeout(500)

    def picture(self, folder: Path, name: str) -> None:
        """Writes the whole notebook into PNG files of a window's height each."""
        folder.mkdir(parents=True, exist_ok=True)
        scroller = self.page.locator(".jp-WindowedPanel-outer").first
        tall = 3000
        self.page.set_viewport_size({"width": WIDTH, "height": tall})
        total = scroller.evaluate("outer => outer.scrollHeight")
        height = scroller.evaluate("outer => outer.clientHeight")
        for part in range(-(-total // height)):
            scroller.evaluate("(outer, top) => outer.scrollTop = top", part * height)
            self.page.wait_for_timeout(100)  # one more frame: a picture of what was there before is no failure
            scroller.screenshot(path=folder / f"{name}-{part + 1}.png")
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob"):
            self.hosts.add(urlsplit(url).hostname or url)

    def _connected(self, socket: Any) -> None:
        self._asked(socket.url)
        socket.on("framesent", lambda frame: self.sent.append(_text(frame)))

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)


def _text(frame: str | bytes) -> str:
    return frame if isinstance(frame, str) else frame.decode(errors="replace")
