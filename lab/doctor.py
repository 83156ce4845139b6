"""Is this machine ready? `python -m lab doctor`, or `doctor()` in a notebook: a line a check, one fix where needed.

It runs where things are broken: with an old Python (its syntax is that of 3.8), and without any package.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PORT = 8888  # JupyterLab's own
MEMORY = 1.0  # GiB that the experiments need at most
FILES = 4096  # open files: 1,000 connections have two ends in one process
FIREWALL = "let this Python listen on 127.0.0.1 in the firewall or sandbox"


class Finding(NamedTuple):
    """What was looked at, what was found, and how to mend it where it is not well; `must` it be mended?"""

    what: str
    found: str
    fix: str = ""
    must: bool = True


def doctor() -> None:
    """Prints a line a check, with one fix where one is needed."""
    examine()


def examine(port: int = PORT) -> bool:
    """Does what `doctor` does, for the port that JupyterLab is to take, and returns whether the machine is ready."""
    ready = True
    for what, found, fix, must in findings(port):
        mark = "ok" if not fix else "FIX" if must else "note"
        print(f"{mark:<4}  {what}: {found}" + (f"; fix: {fix}" if fix else ""))
        ready = ready and mark != "FIX"
    return ready


def findings(port: int = PORT) -> list[Finding]:
    first = python()
    if first.fix:  # nothing else can be right
        return [first]
    return [first, packages(), kernel(), loop(), server(), lab_port(port), proxy(), files(), memory(), cores()]


def python() -> Finding:
    match = re.search(r'^requires-python = ">=3\.(\d+),<3\.(\d+)"', pyproject(), re.MULTILINE)
    assert match
    oldest, too_new = map(int, match.groups())
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, oldest) <= sys.version_info[:2] < (3, too_new):
        return Finding("Python", found)
    names = [f"python3.{minor}" for minor in range(too_new - 1, oldest - 1, -1)]
    there = [name for name in names if runs(name)]
    fix = "make lab PYTHON=" + (there or names)[0]
    if not there:
        fix = f"install Python 3.{oldest} to 3.{too_new - 1} from python.org, then " + fix
    return Finding("Python", f"{found} is not one of 3.{oldest} to 3.{too_new - 1}", fix)


def packages() -> Finding:
    """What pyproject.toml names must be there and in its range; requirements.txt has the versions that were tested."""
    missing: list[str] = []
    wrong: list[str] = []
    other: list[str] = []
    wanted, pins = ranges(), pinned()
    for name, specifier in wanted.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
            continue
        if version not in pins[name]:
            known = other if in_range(version, specifier) else wrong
            known.append(f"{name} is {version} and was tested as {' or '.join(pins[name])}")
    if missing:
        wrong.insert(0, "missing " + ", ".join(missing))
    if wrong or other:
        return Finding("packages", "; ".join(wrong or other), install(), must=bool(wrong))
    return Finding("packages", f"all {len(wanted)} that the course names, as tested")


def kernel() -> Finding:
    """Which Python runs a notebook? That of the kernel `python3`, which another environment may have left behind."""
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError:
        return Finding("kernel", "jupyter_client is missing", install())
    command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    here, major, minor = os.path.dirname(sys.executable), sys.version_info[0], sys.version_info[1]
    # jupyter_client reads these names as the Python that runs JupyterLab
    own = command in ("python", f"python{major}", f"python{major}.{minor}")
    if own or os.path.normcase(os.path.dirname(command)) == os.path.normcase(here):
        return Finding("kernel", "python3 is this Python")
    fix = f'"{sys.executable}" -m jupyter kernelspec remove -y python3'
    return Finding("kernel", f"python3 is another Python, {command}", fix)


def loop() -> Finding:
    """nest_asyncio changes the loop of the whole process, for good."""
    if hasattr(asyncio, "_nest_patched"):
        return Finding("event loop", "patched by nest_asyncio", "restart the kernel")
    return Finding("event loop", "uvicorn takes " + ("uvloop" if find_spec("uvloop") else "asyncio"))


def server() -> Finding:
    try:
        from fastapi import FastAPI

        from lab.serving import serve
    except ImportError as error:
        return Finding("server", f"{error.name} is missing", install())
    try:
        with serve(FastAPI(title="the doctor's")) as running:
            direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with direct.open(running.url + "/openapi.json", timeout=5) as answer:
                return Finding("server", f"FastAPI on 127.0.0.1 answers {answer.status}")
    except Exception as error:
        return Finding("server", f"FastAPI on 127.0.0.1 does not answer ({error})", FIREWALL)


def lab_port(port: int) -> Finding:
    """JupyterLab takes the next free port by itself, unless it is told which."""
    if is_free(port):
        return Finding("JupyterLab", f"port {port} is free")
    free = next((other for other in range(port + 1, port + 100) if is_free(other)), 0)
    return Finding("JupyterLab", f"port {port} is taken", f'make lab ARGS="--port {free}"', must=False)


def proxy() -> Finding:
    """HTTP clients send what is for 127.0.0.1 to the proxy too, unless they are told not to."""
    proxies = urllib.request.getproxies()
    if "http" in proxies and not urllib.request.proxy_bypass("127.0.0.1"):
        return Finding("proxy", "requests to 127.0.0.1 would go to it", "export NO_PROXY=127.0.0.1,localhost")
    return Finding("proxy", "none for 127.0.0.1")


def files() -> Finding:
    """`load` raises the soft limit by itself, as far as the hard one lets it."""
    if sys.platform == "win32":
        return Finding("open files", "no limit that matters")
    import resource

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit != resource.RLIM_INFINITY and limit < FILES:
        return Finding("open files", f"at most {limit}", f"ulimit -n {FILES}")
    return Finding("open files", f"{FILES} may be open")


def memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("memory", "psutil is missing", install())
    available = psutil.virtual_memory().available / 2**30
    fix = "" if available >= MEMORY else f"close other programs until {MEMORY:g} GiB are free"
    return Finding("memory", f"{available:.1f} GiB are free", fix)


def cores() -> Finding:
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    if count < 2:
        return Finding("cores", "one, so a load and its server take turns", "give this machine two cores", must=False)
    return Finding("cores", str(count))


def pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def ranges() -> dict[str, str]:
    """Name and range of each package that pyproject.toml names for this system."""
    listed = pyproject().partition("\ndependencies = [")[2].partition("\n]")[0]
    found = re.findall(r'^    "([\w-]+)([^";]*)(.*?)"', listed, re.MULTILINE)
    return {name: specifier for name, specifier, marker in found if "win32" not in marker or sys.platform != "win32"}


def pinned() -> dict[str, list[str]]:
    """The tested versions of each package: one, or one for each range of Python versions."""
    versions: dict[str, list[str]] = {}
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE):
        versions.setdefault(name, []).append(version)
    return versions


def in_range(version: str, specifier: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return False
    return SpecifierSet(specifier).contains(version, prereleases=True)


def install() -> str:
    """The command that installs into this Python's environment; one made by uv has no pip."""
    if sys.prefix == sys.base_prefix and not os.environ.get("CONDA_PREFIX") and shutil.which("make"):
        return "make lab"  # which makes the environment .venv: nothing is installed globally
    if find_spec("pip"):
        return f'"{sys.executable}" -m pip install -r requirements.txt'
    return f'uv pip install --python "{sys.executable}" -r requirements.txt'


def runs(python: str) -> bool:
    """Whether it is there and starts; a shim may be there without what it stands for."""
    try:
        return subprocess.run([python, "-c", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


def is_free(port: int) -> bool:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return True
    except (OSError, OverflowError):
        return False
