"""The process that drives the load for `lab.load`: aiohttp, its C parser, and uvloop where there is one."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import math
import socket
import sys
from array import array
from collections import Counter
from time import perf_counter
from typing import Any

import aiohttp
from yarl import URL

from lab.errors import LabError
from lab.worker import Report, run

SPARE_FILES = 64  # what the process itself and the loop keep open
QUANTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}


def kind(error: BaseException) -> str:
    """The word under which a failed request is counted."""
    code = getattr(error, "errno", None)
    match error:
        case asyncio.TimeoutError():
            return "timeout"
        case aiohttp.ClientSSLError():
            return "tls"
        case OSError() if code == errno.ECONNREFUSED or isinstance(error.__cause__, ConnectionRefusedError):
            return "refused"
        case aiohttp.ServerDisconnectedError():
            return "disconnected"
        case OSError() if code in (errno.EMFILE, errno.ENFILE):
            return "open files"
        case OSError() if code in (errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED):
            return "reset"
        case aiohttp.ClientConnectionResetError():
            return "reset"
        case aiohttp.ClientPayloadError():
            return "incomplete"
        case aiohttp.ClientResponseError():
            return "garbage"
    return "other"


def loopback_socket(address: Any) -> socket.socket:
    """Whatever a name resolves to, no connection is opened to another machine."""
    family, type_, protocol, _, (host, *_) = address
    if not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        raise OSError(errno.EACCES, f"{host} is not this machine")
    return socket.socket(family, type_, protocol)


def allow_open_files(concurrency: int) -> None:
    """Raises this process's own limit, which costs nothing, as far as the system lets it."""
    if sys.platform == "win32":
        return
    import resource

    needed = concurrency + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise LabError(
            f"concurrency={concurrency} needs {needed} open files and the limit is {hard}: "
            f"lower it, or run `ulimit -n 4096` before `make lab`"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def quantiles(latencies: list[float]) -> dict[str, float]:
    """Latencies that were really seen (nearest rank), in seconds; nan where there is none."""
    if not latencies:
        return dict.fromkeys([*QUANTILES, "mean"], math.nan)
    ordered = sorted(latencies)
    seen = {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in QUANTILES.items()}
    return {**seen, "mean": math.fsum(ordered) / len(ordered)}


async def drive(plan: dict[str, Any], report: Report) -> dict[str, Any]:
    """`concurrency` clients, each sending its next request when its last one has been answered."""
    starts, ends = array("d"), array("d")
    statuses: Counter[int] = Counter()
    errors: Counter[str] = Counter()
    numbers = iter(range(plan["requests"]))
    method, url, body = plan["method"], URL(plan["url"]), plan["body"]

    async def client() -> None:
        for _ in numbers:
            start = perf_counter()
            try:
                async with session.request(method, url, data=body, allow_redirects=False) as response:
                    while await response.content.readany():
                        pass
            except Exception as error:
                errors[kind(error)] += 1
            else:
                ends.append(perf_counter())
                starts.append(start)
                statuses[response.status] += 1

    async def tell() -> None:
        while True:
            await asyncio.sleep(0.2)
            report(len(ends) + errors.total())

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=False, socket_factory=loopback_socket),
        timeout=aiohttp.ClientTimeout(total=plan["timeout"]),
        headers=plan["headers"],
        skip_auto_headers=["Accept", "Accept-Encoding", "Content-Type", "User-Agent"],
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )
    # aiohttp would send a request again, uncounted, when the server closes a connection under it.
    session._retry_connection = False
    async with session:
        telling = asyncio.create_task(tell())
        began = perf_counter()
        clients = [asyncio.create_task(client()) for _ in range(plan["concurrency"])]
        await asyncio.wait(clients, timeout=plan["within"])
        seconds = perf_counter() - began
        for task in (telling, *clients):
            task.cancel()
        await asyncio.gather(telling, *clients, return_exceptions=True)
    return {
        "seconds": seconds,
        "latency": quantiles([end - start for start, end in zip(starts, ends, strict=True)]),
        "statuses": statuses,
        "errors": errors,
        "unfinished": plan["requests"] - len(ends) - errors.total(),
        "starts": array("d", (start - began for start in starts)),
        "ends": array("d", (end - began for end in ends)),
    }


def new_event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Windows
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def main() -> None:
    gc.freeze()  # what is imported stays; the collector need not look at it again
    with asyncio.Runner(loop_factory=new_event_loop) as runner:

        def handle(plan: dict[str, Any], report: Report) -> dict[str, Any]:
            allow_open_files(plan["concurrency"])
            return runner.run(drive(plan, report))

        run(handle)


if __name__ == "__main__":
    main()
