"""The process that drives the load for `lab.load`: httptools' parser on asyncio's protocols, and uvloop where present.

A general HTTP client spends more on a request than a small ASGI app does, and would measure itself.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import math
import ssl
from array import array
from collections import Counter
from time import perf_counter
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lab.worker import Report, run

QUANTILES = {"p50": 0.50, "p90": 0.90, "p99": 0.99, "max": 1.0}


class Driver:
    """Counts what is left to send and what came of the rest."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.host, self.port = plan["host"], plan["port"]
        self.message: bytes = plan["message"]
        self.timeout: float = plan["timeout"]
        self.left: int = plan["requests"]
        self.starts, self.ends = array("d"), array("d")
        self.statuses: Counter[int] = Counter()
        self.errors: Counter[str] = Counter()
        self.open: set[Connection] = set()

    def finished(self) -> int:
        return len(self.ends) + self.errors.total()

    async def client(self, tls: ssl.SSLContext | None) -> None:
        """Sends request after request, each when the last one is done, over one connection as long as that lasts."""
        loop = asyncio.get_running_loop()
        while self.left:
            self.left -= 1
            connection = Connection(self, perf_counter())
            try:
                async with asyncio.timeout(self.timeout):
                    await loop.create_connection(lambda made=connection: made, self.host, self.port, ssl=tls)
                await connection.closed.wait()
            except (OSError, RuntimeError) as error:  # TimeoutError, SSLError; uvloop's own
                self.errors[kind(error)] += 1
            finally:
                if connection.transport:  # else it was never made
                    connection.transport.abort()
                    await connection.closed.wait()

    def expire(self) -> None:
        oldest = perf_counter() - self.timeout
        for connection in list(self.open):
            if connection.waiting and connection.start < oldest:
                connection.fail("timeout")


class Connection(asyncio.Protocol):
    """One connection: a request in flight from the moment it is made to the moment it is closed."""

    def __init__(self, driver: Driver, start: float) -> None:
        self.driver, self.start = driver, start
        self.closed = asyncio.Event()
        self.transport: Any = None
        self.parser = HttpResponseParser(self)
        self.waiting = True  # for an answer
        self.reset()

    def reset(self) -> None:
        self.seen = self.headers = self.framed = False  # of the answer: any byte, all headers, a length or chunks
        self.complete = 0

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.driver.open.add(self)
        transport.write(self.driver.message)

    def data_received(self, data: bytes) -> None:
        self.seen = True
        try:
            self.parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self.fail("garbage")
            return
        if not self.complete:
            return
        if self.complete > 1:
            self.fail("garbage")
            return
        self.answered()
        if self.driver.left and self.reusable:
            self.driver.left -= 1
            self.reset()
            self.start = perf_counter()
            self.transport.write(self.driver.message)
        else:
            self.waiting = False
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self.driver.open.discard(self)
        if not self.waiting:
            pass
        elif error is None and self.headers and not self.framed:
            self.answered()  # a body that ends where the connection does
        elif error is not None:
            self.driver.errors[kind(error)] += 1
        else:
            self.driver.errors["incomplete" if self.seen else "disconnected"] += 1
        self.closed.set()

    # What the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() in (b"content-length", b"transfer-encoding"):
            self.framed = True

    def on_headers_complete(self) -> None:
        self.headers = self.parser.get_status_code() >= 200

    def on_message_complete(self) -> None:
        if self.parser.get_status_code() >= 200:  # else the answer is still to come
            self.complete += 1
            self.reusable = self.parser.should_keep_alive()

    # What becomes of a request

    def answered(self) -> None:
        self.driver.ends.append(perf_counter())
        self.driver.starts.append(self.start)
        self.driver.statuses[self.parser.get_status_code()] += 1

    def fail(self, kind: str) -> None:
        self.driver.errors[kind] += 1
        self.waiting = False
        self.transport.abort()


def kind(error: Exception) -> str:
    """The word under which a connection that failed is counted."""
    match error:
        case TimeoutError():
            return "timeout"
        case ConnectionRefusedError():
            return "refused"
        case ConnectionError():
            return "reset"
        case ssl.SSLError():
            return "tls"
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return "open files"
    return "other"


def quantiles(latencies: list[float]) -> dict[str, float]:
    """Latencies that were really seen (nearest rank), in seconds; nan where there is none."""
    if not latencies:
        return dict.fromkeys([*QUANTILES, "mean"], math.nan)
    ordered = sorted(latencies)
    seen = {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in QUANTILES.items()}
    return {**seen, "mean": math.fsum(ordered) / len(ordered)}


async def drive(plan: dict[str, Any], report: Report) -> dict[str, Any]:
    driver = Driver(plan)
    tls = None
    if plan["tls"]:
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # it never leaves this machine

    async def watch() -> None:
        tick = max(0.01, min(0.2, driver.timeout / 5))
        reported = 0.0
        while True:
            await asyncio.sleep(tick)
            driver.expire()
            if perf_counter() - reported > 0.2:
                report(driver.finished())
                reported = perf_counter()

    watching = asyncio.create_task(watch())
    began = perf_counter()
    clients = [asyncio.create_task(driver.client(tls)) for _ in range(plan["concurrency"])]
    done, late = await asyncio.wait(clients, timeout=plan["within"])
    seconds = perf_counter() - began
    result = {
        "seconds": seconds,
        "latency": quantiles([end - start for start, end in zip(driver.starts, driver.ends, strict=True)]),
        "statuses": Counter(driver.statuses),
        "errors": Counter(driver.errors),
        "unfinished": plan["requests"] - driver.finished(),
        "starts": array("d", (start - began for start in driver.starts)),
        "ends": array("d", (end - began for end in driver.ends)),
    }
    driver.left = 0
    for task in (watching, *late):
        task.cancel()
    await asyncio.gather(watching, *late, return_exceptions=True)
    for client in done:
        client.result()  # raises what is a mistake here, not in the server
    return result


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
            return runner.run(drive(plan, report))

        run(handle)


if __name__ == "__main__":
    main()
