"""Is this machine ready? `python -m lab doctor`, or `doctor()` in a notebook: a line a check, with one fix each.

It must run where things are broken: with an old Python, and without any package.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
OLDEST, NEWEST = (3, 11), (3, 14)
PORT = 8000  # what uvicorn takes when a copied snippet is started by hand
MEMORY = 1.0  # GiB that the experiments need at most
FILES = 2048  # open files: 1,000 connections have two ends in one process
INSTALL = "Run `make -B lab`, or install requirements.txt into the Python that runs this"


class Finding(NamedTuple):
    """What was looked at, what was found, and how to mend it; no fix is needed where `fix` is empty."""

    what: str
    found: str
    fix: str = ""


def doctor() -> None:
    """Prints a line a check, with one fix where one is needed."""
    examine()


def examine() -> bool:
    """Does what `doctor` does, and returns whether all is well."""
    found = [check() for check in (python, packages, loop, loopback, port, proxy, memory, files)]
    for what, seen, fix in found:
        print(f"FIX  {what}: {seen}. {fix}." if fix else f"ok   {what}: {seen}")
    return not any(finding.fix for finding in found)


def python() -> Finding:
    version = sys.version_info[:2]
    found = ".".join(map(str, sys.version_info[:3]))
    if OLDEST <= version <= NEWEST:
        return Finding("Python", found)
    return Finding("Python", found, "Install one of Python 3.11 to 3.14, then `make lab PYTHON=python3.13`")


def packages() -> Finding:
    """Compares what is installed with the ranges of pyproject.toml."""
    try:
        from packaging.specifiers import SpecifierSet
    except ImportError:
        return Finding("packages", "packaging is missing", INSTALL)
    wrong, wanted = [], dict(wanted_packages())
    for name, specifier in wanted.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
        else:
            if not SpecifierSet(specifier).contains(version, prereleases=True):
                wrong.append(f"{name} is {version} and should be {specifier}")
    if wrong:
        return Finding("packages", "; ".join(wrong[:3]) + ("; and more" if wrong[3:] else ""), INSTALL)
    return Finding("packages", f"all {len(wanted)} that the course names")


def wanted_packages() -> Iterator[tuple[str, str]]:
    """Name and range of each package that pyproject.toml names for this machine."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.partition("\ndependencies = [")[2].partition("\n]")[0]
    for name, specifier, marker in re.findall(r'^    "([\w-]+)([^";]*)(.*?)"', listed, re.MULTILINE):
        if "win32" not in marker or sys.platform != "win32":
            yield name, specifier


def loop() -> Finding:
    """nest_asyncio changes the loop of the whole process, for good."""
    if hasattr(asyncio, "_nest_patched"):
        return Finding("event loop", "patched by nest_asyncio", "Restart the kernel")
    return Finding("event loop", "not patched")


def loopback() -> Finding:
    try:
        server = socket.create_server(("127.0.0.1", 0))
        with server, socket.create_connection(server.getsockname(), timeout=2):
            return Finding("servers", "127.0.0.1 can be served and reached")
    except OSError as error:
        fix = "Let this Python listen on 127.0.0.1 in the firewall or sandbox"
        return Finding("servers", f"127.0.0.1 cannot be served or reached ({error.strerror})", fix)


def port() -> Finding:
    try:
        with socket.create_connection(("127.0.0.1", PORT), timeout=2):
            fix = (
                f"Stop that program, or start a copied snippet with `--port {PORT + 1}`; the notebooks take free ports"
            )
            return Finding("port", f"something answers on {PORT}", fix)
    except OSError:
        return Finding("port", f"{PORT} is free")


def proxy() -> Finding:
    """HTTP clients send what is for 127.0.0.1 to the proxy too, unless they are told not to."""
    proxies = urllib.request.getproxies()
    if "http" in proxies and not urllib.request.proxy_bypass("127.0.0.1"):
        return Finding(
            "proxy", "requests to 127.0.0.1 would go to it", "Set NO_PROXY=127.0.0.1,localhost before `make lab`"
        )
    return Finding("proxy", "none for 127.0.0.1")


def memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("memory", "psutil is missing", INSTALL)
    available = psutil.virtual_memory().available / 2**30
    fix = "" if available >= MEMORY else f"Close other programs until {MEMORY:g} GiB are free"
    return Finding("memory", f"{available:.1f} GiB are free", fix)


def files() -> Finding:
    if sys.platform == "win32":
        return Finding("open files", "no limit that matters")
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < FILES:
        return Finding("open files", f"at most {limit}", "Run `ulimit -n 4096` before `make lab`")
    return Finding("open files", "enough may be open")
