"""Does `load` drive a server as hard as wrk, which is written in C? And how far behind is a loop with httpx?

They drive the same uvicorn process (httptools, uvloop) in turn, for SECONDS each, ROUNDS times, and take turns in
going first; httpx, which is far behind, joins HTTPX_ROUNDS of them. A round's rates give its ratios, and the medians of
those are compared with the bounds: a busy machine slows all of a round.
"""

import asyncio
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import httpx

from benchmarks.results import store
from lab import launch, load

ROOT = Path(__file__).parent.parent
ROUNDS, HTTPX_ROUNDS, SECONDS = 15, 3, 1
AT_LEAST_OF_WRK, AT_LEAST_TIMES_HTTPX, AT_MOST_CPU = 0.9, 5, 0.05


def wrk(url: str, connections: int) -> float:
    command = ["wrk", "--threads", "1", "--connections", str(connections), "--duration", f"{SECONDS}s", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec: +([\d.]+)", said)
    assert found, said
    return float(found[1])


async def httpx_loop(url: str, connections: int) -> float:
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    answered = 0
    async with httpx.AsyncClient(limits=limits) as client:
        began = time.perf_counter()

        async def one() -> None:
            nonlocal answered
            while time.perf_counter() - began < SECONDS:
                (await client.get(url)).raise_for_status()
                answered += 1

        await asyncio.gather(*(one() for _ in range(connections)))
        return answered / (time.perf_counter() - began)


def rounds(url: str, connections: int) -> tuple[list[str], dict[str, float]]:
    """A row of the table, and the medians to be compared."""
    rates: dict[str, list[float]] = {"wrk": [], "load": [], "httpx": []}
    cpu = []

    def by_load() -> None:
        used = time.process_time()
        loaded = load(url, requests=200_000, concurrency=connections, within=SECONDS)
        cpu.append((time.process_time() - used) / loaded.seconds)
        assert set(loaded.statuses) == {200}, loaded
        assert not loaded.errors, loaded
        rates["load"].append(loaded.rate)

    def by_wrk() -> None:
        rates["wrk"].append(wrk(url, connections))

    for number in range(ROUNDS):
        for drive in (by_wrk, by_load) if number % 2 else (by_load, by_wrk):
            drive()
        if number < HTTPX_ROUNDS:
            rates["httpx"].append(asyncio.run(httpx_loop(url, connections)))
    of_wrk = [a / b for a, b in zip(rates["load"], rates["wrk"], strict=True)]
    of_httpx = [a / b for a, b in zip(rates["load"], rates["httpx"], strict=False)]
    medians = {"wrk": median(of_wrk), "httpx": median(of_httpx), "cpu": median(cpu)}
    row = [f"{median(rates[name]):,.0f}" for name in rates]
    row += [f"{medians['wrk']:.2f} ({min(of_wrk):.2f} to {max(of_wrk):.2f})", f"{medians['httpx']:.0f}"]
    return [str(connections), *row, f"{medians['cpu']:.1%}"], medians


def main() -> int:
    if not shutil.which("wrk"):
        print("wrk is not installed: `apt-get install wrk` or `brew install wrk`")
        return 0
    table = [["app", "connections", "wrk", "load", "httpx loop", "load / wrk", "load / httpx", "CPU of the caller"]]
    bounds = {}
    for app in ("fastapi", "bare"):
        command = [sys.executable, "-m", "uvicorn", f"benchmarks.apps:{app}", "--port", "{port}"]
        command += ["--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-access-log"]
        command += ["--lifespan", "off"]
        with launch(command, cwd=str(ROOT)) as server:
            load(server.url, requests=2000)  # everything is warm
            for connections in (16, 64):
                row, medians = rounds(server.url + "/", connections)
                table.append([app, *row])
                if app == "fastapi":
                    at = f"at {connections} connections"
                    bounds[f"at least {AT_LEAST_OF_WRK} of wrk {at}"] = medians["wrk"] >= AT_LEAST_OF_WRK
                    bounds[f"at least {AT_LEAST_TIMES_HTTPX} times an httpx loop {at}"] = (
                        medians["httpx"] >= AT_LEAST_TIMES_HTTPX
                    )
                    bounds[f"at most {AT_MOST_CPU:.0%} of a core in the calling process {at}"] = (
                        medians["cpu"] <= AT_MOST_CPU
                    )
    return store(
        "load_against_wrk",
        f"Requests a second against one uvicorn process: medians of {ROUNDS} interleaved rounds of {SECONDS} s "
        f"({HTTPX_ROUNDS} of httpx), and the medians of each round's ratios, with the lowest and the highest.",
        table,
        bounds,
        ["fastapi", "uvicorn", "uvloop", "httptools", "httpx"],
    )


if __name__ == "__main__":
    sys.exit(main())
