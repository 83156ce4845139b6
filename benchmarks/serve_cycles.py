"""How long do `serve` and `stop` take, and does anything stay behind?"""

import asyncio
import gc
import http.client
import sys
import threading
import time
from statistics import median
from typing import Any

import psutil

from benchmarks.apps import fastapi
from benchmarks.results import store
from lab import serve

CYCLES, LEAK_CYCLES = 50, 200
START, STOP = 0.010, 0.120  # seconds; uvicorn's own shutdown waits 0.1


def cycle() -> tuple[float, float]:
    """Seconds to start and to stop, with a request between."""
    began = time.perf_counter()
    server = serve(fastapi)
    started = time.perf_counter()
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b'{"hello":"world"}'
    connection.close()
    asked = time.perf_counter()
    server.stop()
    return started - began, time.perf_counter() - asked


def left_over() -> dict[str, int]:
    gc.collect()
    process: Any = psutil.Process()
    files = process.num_handles if sys.platform == "win32" else process.num_fds
    tasks = sum(isinstance(thing, asyncio.Task) for thing in gc.get_objects())
    return {"threads": threading.active_count(), "sockets and files": files(), "tasks": tasks}


def main() -> int:
    for _ in range(3):  # imports and thread pools
        cycle()
    starts, stops = zip(*(cycle() for _ in range(CYCLES)), strict=True)
    before = left_over()
    for _ in range(LEAK_CYCLES):
        cycle()
    after = left_over()
    table = [["", "median", "highest"]]
    for name, times in (("start, ms", starts), ("stop, ms", stops)):
        table.append([name, f"{median(times) * 1000:.1f}", f"{max(times) * 1000:.1f}"])
    bounds = {
        f"a median start within {START * 1000:.0f} ms": median(starts) <= START,
        f"a median stop within {STOP * 1000:.0f} ms": median(stops) <= STOP,
    }
    for name, count in before.items():
        bounds[f"no more {name} after {LEAK_CYCLES} cycles than before"] = after[name] <= count
    what = f"`serve` of a FastAPI app, a request, `stop`: {CYCLES} cycles timed, then {LEAK_CYCLES} counted."
    return store("serve_cycles", what, table, bounds, ["fastapi", "uvicorn"])


if __name__ == "__main__":
    sys.exit(main())
