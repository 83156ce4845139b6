"""What does a hit cost, and what happens in a stampede, between two users, and when Redis is away?

Every cache uses the same real redis-server, which is flushed between them. Hits are timed through the app, without a
server around it, ROUNDS times in turn, HITS in a round. Each one's fastest round is compared: what a busy machine adds
is no price of a cache.
Processes are uvicorn's, one app each, and requests are shared out evenly among them.
"""

import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from redis.asyncio import Redis

from benchmarks.results import store
from lab import launch, serve
from lab.launching import Launched

ROOT = Path(__file__).parent.parent
ROUNDS, HITS, MISSES, REQUESTS = 100, 20, 50, 1000
AT_MOST_OF_DECORATOR, AT_MOST_ADDED = 0.5, 0.25
COURSE, SLOW = "single_flight_redis.py", 1


class Origin:
    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.app = FastAPI()
        self.app.get("/")(self.answer)

    async def answer(self, name: str, number: int) -> str:
        self.calls[name] += 1
        await asyncio.sleep(1 if number == SLOW else 0)
        return "made"


async def flush(url: str) -> None:
    async with Redis.from_url(url) as redis:
        await redis.flushall()


async def hit_costs(app: Any, names: list[str]) -> dict[str, float]:
    """Seconds a hit, of each cache in its fastest round."""
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    async def ask(number: int) -> None:
        path = f"/{number}/hit/1"
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
        }
        scope |= {"headers": [], "root_path": "", "scheme": "http", "http_version": "1.1"}
        scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "asgi": {"version": "3.0"}}
        await app(scope, receive, send)

    costs: dict[str, list[float]] = {name: [] for name in names}
    async with app.router.lifespan_context(app):
        for number in range(len(names)):
            await ask(number)
            await ask(number)
        for turn in range(ROUNDS):
            for number, name in sorted(enumerate(names), reverse=bool(turn % 2)):
                began = time.perf_counter()
                for _ in range(HITS):
                    await ask(number)
                costs[name].append((time.perf_counter() - began) / HITS)
    assert set(status) == {200}
    return {name: min(seconds) for name, seconds in costs.items()}


async def at_once(urls: list[str], times: int, **options: Any) -> list[httpx.Response]:
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        return list(await asyncio.gather(*[client.get(urls[n % len(urls)], **options) for n in range(times)]))


async def strangers(url: str) -> int:
    """Answers that belong to the other user, of two users' interleaved requests."""
    wrong = 0
    async with httpx.AsyncClient(timeout=60) as client:
        for _ in range(0, REQUESTS, 20):
            asked = ["alice", "bob"] * 10
            answers = await asyncio.gather(*[client.get(url, headers={"X-User": name}) for name in asked])
            wrong += sum(answer.json()["user"] != name for answer, name in zip(answers, asked, strict=True))
    return wrong


async def timed(paths: list[str], numbers: range) -> list[list[tuple[int, float]]]:
    """Status and seconds of requests to each path, one after the other; the paths are asked at the same time."""
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_keepalive_connections=0)) as client:

        async def ask(path: str) -> list[tuple[int, float]]:
            times = []
            for number in numbers:
                began = time.perf_counter()
                response = await client.get(f"{path}{number}")
                times.append((response.status_code, time.perf_counter() - began))
            return times

        return list(await asyncio.gather(*map(ask, paths)))


def told(times: list[tuple[int, float]]) -> str:
    statuses = " and ".join(str(status) for status in sorted({status for status, _ in times}))
    return f"{statuses} in {max(seconds for _, seconds in times):.2f} s"


def start_redis(stack: ExitStack) -> tuple[Launched, str]:
    command = ["redis-server", "--port", "{port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    redis = stack.enter_context(launch(command, ready=None))
    return redis, redis.url.replace("tcp", "redis")


def start_workers(stack: ExitStack, count: int, env: dict[str, str]) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", "benchmarks.caching_apps:app", "--port", "{port}", "--no-access-log"]
    with ThreadPoolExecutor() as pool:
        started = [pool.submit(launch, command, cwd=str(ROOT), env=env, seconds=60) for _ in range(count)]
    return [stack.enter_context(worker.result()).url for worker in started]


def main() -> int:
    if not shutil.which("redis-server"):
        print("redis-server is not installed: `apt-get install redis-server` or `brew install redis`")
        return 0
    origin = Origin()
    with ExitStack() as stack:
        redis, redis_url = start_redis(stack)
        env = {"REDIS_URL": redis_url, "ORIGIN_URL": stack.enter_context(serve(origin.app)).url}
        os.environ |= env
        from benchmarks.caching_apps import NAMES, app

        costs = asyncio.run(hit_costs(app, NAMES))
        workers = start_workers(stack, 4, env)
        rows: dict[str, list[str]] = {}
        for number, name in enumerate(NAMES):
            row = [f"{costs[name] * 1e6:.0f}", f"{costs[name] / costs['fastapi-cache2']:.2f}"]
            asyncio.run(at_once([f"{url}/{number}/report/2" for url in workers], 20))  # everything is connected
            for urls in (workers[:1], workers):
                asyncio.run(flush(redis_url))
                origin.calls.clear()
                answers = asyncio.run(at_once([f"{url}/{number}/report/{SLOW}" for url in urls], MISSES))
                assert {answer.status_code for answer in answers} == {200}, name
                row.append(str(origin.calls[name]))
            asyncio.run(flush(redis_url))
            row.append(str(asyncio.run(strangers(f"{workers[0]}/{number}/account"))))
            asyncio.run(at_once([f"{url}/{number}/hit/1" for url in workers], 4))
            answers = asyncio.run(at_once([f"{url}/{number}/hit/1" for url in workers], 4))
            tags = {answer.headers.get("etag") for answer in answers}
            row.append("none" if tags == {None} else "one" if len(tags) == 1 else "differs")
            rows[name] = row
        paths = [f"{workers[0]}/{number}/report/" for number in range(len(NAMES))]
        asyncio.run(timed(paths, range(2, 3)))
        [process] = redis.processes()
        process.suspend()
        try:
            hung = asyncio.run(timed(paths, range(3, 5)))
        finally:
            process.resume()
        redis.stop()
        stopped = asyncio.run(timed(paths, range(5, 10)))
        for number, name in enumerate(NAMES):
            rows[name] += [told(stopped[number]), told(hung[number][:1]), told(hung[number][1:])]
    ratio = costs[COURSE] / costs["fastapi-cache2"]
    waited = [seconds for _, seconds in hung[NAMES.index("outage.py")]]
    bounds = {
        f"a hit of {COURSE} costs at most {AT_MOST_OF_DECORATOR} of fastapi-cache2's": ratio <= AT_MOST_OF_DECORATOR,
        f"{COURSE} makes one call in a stampede, also in four processes": rows[COURSE][2:4] == ["1", "1"],
        f"no answer of {COURSE} and its key reaches another user": rows[COURSE][4] == "0",
        f"a hung Redis adds at most {AT_MOST_ADDED} s to a request through outage.py, and nothing to the next": (
            waited[0] <= AT_MOST_ADDED and waited[1] <= AT_MOST_ADDED / 3
        ),
    }
    heading = ["cache", "hit, µs", "/ fastapi-cache2", "calls, 1 process", "calls, 4 processes", "to another user"]
    heading += ["ETag in 4 processes", "Redis stopped", "Redis hung, first request", "second request"]
    return store(
        "caching",
        f"A hit in the fastest of {ROUNDS} interleaved rounds of {HITS}; calls of the origin in {MISSES} simultaneous "
        f"misses; answers to the other user, of {REQUESTS} by two users and with the default key; requests while Redis "
        "is away.",
        [heading, *[[name, *row] for name, row in rows.items()]],
        bounds,
        ["fastapi", "uvicorn", "redis", "fastapi-cache2", "cashews", "aiocache"],
    )


if __name__ == "__main__":
    sys.exit(main())
