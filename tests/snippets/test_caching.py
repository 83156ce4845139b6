"""The snippets of chapter 05: with a Redis in memory, and the same tests with a real one over TCP."""

import asyncio
import json
import re
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import httpx
import psutil
import pytest
from fakeredis import FakeAsyncRedis, FakeServer
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis.asyncio import Redis

from app_snippets.caching import (
    cache_aside,
    etag,
    outage,
    per_user,
    single_flight,
    single_flight_redis,
    stale_while_revalidate,
    with_fastapi_cache,
)
from lab import launch, serve
from lab.launching import Launched
from tests.snippets.real_redis import ABSENT, PROGRAM, RealRedis

ROOT = Path(__file__).parents[2]
FLIGHTS = [single_flight, single_flight_redis]
each_flight = pytest.mark.parametrize("snippet", FLIGHTS, ids=lambda snippet: snippet.__name__.rpartition(".")[2])
ALICE, BOB = ({"Authorization": f"Bearer token-of-{name}"} for name in ("alice", "bob"))


@pytest.fixture(scope="module")
def real_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRedis]:
    if not PROGRAM:
        pytest.skip(ABSENT)
    server = RealRedis(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(params=["in memory", "over TCP"])
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Redis]:
    if request.param == "in memory":
        client: Redis = FakeAsyncRedis(server=FakeServer())
    else:
        client = Redis.from_url(request.getfixturevalue("real_redis").url, socket_timeout=5)
        await client.flushall()
    async with client:
        yield client


class Origin:
    """Counts its calls, and answers them when it is told to, or at once."""

    def __init__(self, answer: Any = b"made", *, held: bool = False) -> None:
        self.answer, self.calls, self.called = answer, 0, asyncio.Event()
        self.release = asyncio.Event()
        if not held:
            self.release.set()

    async def __call__(self, *_: Any) -> Any:
        self.calls += 1
        self.called.set()
        await self.release.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def asking(app: Any) -> httpx.AsyncClient:
    """A client that calls the app in this loop."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://app")


async def until(true: Callable[[], Awaitable[bool]], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await true():  # noqa: ASYNC110 (it is a server that changes)
            await asyncio.sleep(0.01)


# Cache-aside


async def test_a_second_request_is_a_hit_until_the_value_has_expired(redis: Redis) -> None:
    origin, kept = Origin(), cache_aside.Cache(redis, seconds=0.3, jitter=0)
    assert [await kept.get("key", origin) for _ in range(3)] == [b"made"] * 3
    assert origin.calls == 1

    async def expired() -> bool:
        return not await redis.exists("key")

    await until(expired)
    assert await kept.get("key", origin) == b"made"
    assert origin.calls == 2


async def test_what_is_stored_together_does_not_expire_together(redis: Redis) -> None:
    kept = cache_aside.Cache(redis, seconds=1000, jitter=0.1)
    for number in range(200):
        await kept.get(f"key {number}", Origin())
    left = [await redis.pttl(f"key {number}") for number in range(200)]
    assert 890_000 <= min(left) <= 930_000
    assert 1_070_000 <= max(left) <= 1_100_000
    assert len(set(left)) > 100


async def test_every_argument_is_in_the_key_and_none_is_an_answer(redis: Redis) -> None:
    asked = []

    async def find_price(product: int, currency: str) -> float | None:
        asked.append((product, currency))
        return {"EUR": 9.5, "USD": 11.0}.get(currency)

    async with asking(cache_aside.create_app(redis, find_price)) as client:
        for _ in range(2):
            answers = [(await client.get(f"/price/1?currency={name}")).json() for name in ("EUR", "USD", "GBP")]
            assert answers == [9.5, 11.0, None]
    assert asked == [(1, "EUR"), (1, "USD"), (1, "GBP")]


def test_keys_differ_when_arguments_do() -> None:
    key_of = cache_aside.key_of
    keys = [key_of("f", a=1), key_of("f", a="1"), key_of("f", a=None), key_of("f", a="None"), key_of("g", a=1)]
    keys += [key_of("f", a=1, b=2), key_of("f", a="1,b=2"), key_of("f", a=[1]), key_of("f")]
    assert len(set(keys)) == len(keys)
    assert key_of("f", a=1, b=2) == key_of("f", b=2, a=1)
    with pytest.raises(TypeError):
        key_of("f", a=object())


async def test_an_error_is_not_kept(redis: Redis) -> None:
    origin = Origin(HTTPException(404))
    async with asking(cache_aside.create_app(redis, origin)) as client:
        assert [(await client.get("/price/1?currency=EUR")).status_code for _ in range(2)] == [404, 404]
    assert origin.calls == 2
    assert await redis.keys("*") == []


# Single flight in one process


async def at_once(client: httpx.AsyncClient, path: str, times: int = 50) -> list[httpx.Response]:
    return await asyncio.gather(*[client.get(path) for _ in range(times)])


@pytest.mark.parametrize(
    ("snippet", "path", "answer", "calls"),
    [
        (cache_aside, "/price/1?currency=EUR", 1.5, 50),
        (with_fastapi_cache, "/report/1", {"report": 1}, 50),
        (single_flight, "/report/1", {"report": 1}, 1),
        (single_flight_redis, "/report/1", b'{"report": 1}', 1),
    ],
    ids=["cache_aside", "with_fastapi_cache", "single_flight", "single_flight_redis"],
)
async def test_fifty_simultaneous_misses_make_so_many_calls(
    redis: Redis, snippet: Any, path: str, answer: Any, calls: int
) -> None:
    origin = Origin(answer, held=True)
    app = snippet.create_app(redis, origin)
    if snippet is with_fastapi_cache:
        FastAPICache.reset()
        FastAPICache.init(RedisBackend(redis), prefix="test")
    async with asking(app) as client:
        asked = asyncio.create_task(at_once(client, path))

        async def all_called() -> bool:
            return origin.calls >= calls

        await until(all_called)
        if calls == 1:  # time for the other 49 to do it wrong
            await asyncio.sleep(0.2)
        origin.release.set()
        responses = await asked
        again = await client.get(path)
    FastAPICache.reset()
    assert {response.status_code for response in [*responses, again]} == {200}
    assert {response.content for response in responses} == {again.content}
    assert origin.calls == calls


@each_flight
async def test_a_key_waits_for_no_other(redis: Redis, snippet: Any) -> None:
    kept, slow = snippet.Cache(redis), Origin(held=True)
    waiting = asyncio.create_task(kept.get("slow", slow))
    await slow.called.wait()
    assert await asyncio.wait_for(kept.get("quick", Origin(b"quick")), 5) == b"quick"
    slow.release.set()
    assert await waiting == b"made"


@each_flight
async def test_a_failure_reaches_all_who_wait_and_nobody_after(redis: Redis, snippet: Any) -> None:
    kept, broken = snippet.Cache(redis), Origin(ValueError("broken"), held=True)
    waiting = [asyncio.create_task(kept.get("key", broken)) for _ in range(50)]
    await broken.called.wait()
    broken.release.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [repr(result) for result in results] == ["ValueError('broken')"] * 50
    assert broken.calls == 1
    assert await kept.get("key", Origin()) == b"made"


@each_flight
async def test_the_first_client_may_go_away(redis: Redis, snippet: Any) -> None:
    kept, origin = snippet.Cache(redis), Origin(held=True)
    first = asyncio.create_task(kept.get("key", origin))
    await origin.called.wait()
    second = asyncio.create_task(kept.get("key", origin))
    await asyncio.sleep(0)
    first.cancel()
    origin.release.set()
    assert await second == b"made"
    assert first.cancelled()
    assert origin.calls == 1
    assert kept.flights == {} if snippet is single_flight_redis else kept.flights.flights == {}


# Single flight across processes: two caches that share a Redis and nothing else


@pytest.fixture
def two(redis: Redis) -> list[single_flight_redis.Cache]:
    return [single_flight_redis.Cache(redis, load_seconds=0.5) for _ in range(2)]


async def test_two_caches_make_one_call(two: list[single_flight_redis.Cache], redis: Redis) -> None:
    origin = Origin()
    for number in range(50):
        assert await asyncio.gather(*[kept.get(f"{number}", origin) for kept in two * 5]) == [b"made"] * 10
    assert origin.calls == 50
    assert await redis.keys("*:lock*") == []


async def test_another_cache_gets_the_error_it_waited_for_and_no_later_one(
    two: list[single_flight_redis.Cache], redis: Redis
) -> None:
    broken = Origin(ValueError("broken"), held=True)
    waiting = [asyncio.create_task(kept.get("key", broken)) for kept in two * 5]
    await broken.called.wait()
    await asyncio.sleep(0.1)  # the other one has seen who holds the lock
    broken.release.set()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert Counter(map(type, results)) == {ValueError: 5, RuntimeError: 5}
    assert all("broken" in str(result) for result in results)
    assert broken.calls == 1
    assert not await redis.exists("key", "key:lock")
    assert await two[1].get("key", Origin()) == b"made"


async def test_an_origin_that_hangs_is_an_error_for_all_within_the_bound(two: list[single_flight_redis.Cache]) -> None:
    hanging = Origin(held=True)
    waiting = [kept.get("key", hanging) for kept in two * 5]
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert Counter(map(type, results)) == {TimeoutError: 5, RuntimeError: 5}
    assert hanging.calls == 1


async def test_who_has_lost_the_lock_neither_stores_nor_unlocks(
    two: list[single_flight_redis.Cache], redis: Redis
) -> None:
    origin = Origin(held=True)
    late = asyncio.create_task(two[0].get("key", origin))
    await origin.called.wait()
    await redis.set("key:lock", b"another")  # as if the lock had run out, and been taken
    origin.release.set()
    assert await late == b"made"
    assert await redis.get("key:lock") == b"another"
    assert not await redis.exists("key")


async def test_a_lock_whose_holder_is_gone_runs_out(two: list[single_flight_redis.Cache], redis: Redis) -> None:
    await redis.set("key:lock", b"of the dead", px=300)
    origin = Origin()
    assert await asyncio.gather(*[kept.get("key", origin) for kept in two * 25]) == [b"made"] * 50
    assert origin.calls == 1


# Stale while revalidate


async def test_what_is_stale_is_the_answer_and_is_renewed_once(redis: Redis) -> None:
    caches = [stale_while_revalidate.Cache(redis, fresh=0.1, stale=100, pause=30) for _ in range(2)]
    assert await caches[0].get("key", Origin(b"old")) == b"old"

    async def stale() -> bool:
        return bool(await redis.pttl("key") <= 100_000)

    await until(stale)
    new = Origin(b"new", held=True)
    answers = await asyncio.gather(*[kept.get("key", new) for kept in caches * 25])
    assert answers == [b"old"] * 50
    await new.called.wait()
    new.release.set()
    await asyncio.gather(*caches[0].renewals, *caches[1].renewals)
    assert new.calls == 1
    assert await caches[1].get("key", new) == b"new"


async def test_a_renewal_that_fails_leaves_the_old_answer_and_is_tried_again_later(
    redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    kept, broken = stale_while_revalidate.Cache(redis, fresh=0, stale=100, pause=0.3), Origin(ValueError("broken"))
    await kept.get("key", Origin(b"old"))

    async def tried_twice() -> bool:
        assert await kept.get("key", broken) == b"old"
        return broken.calls == 2

    began = perf_counter()
    await until(tried_twice)
    assert perf_counter() - began > 0.25
    assert "key was not renewed" in caplog.text


# Per user


async def strangers(app: Any) -> int:
    """1,000 requests of two users, interleaved: how many answers belong to the other?"""
    wrong = 0
    async with asking(app) as client:

        async def one(number: int) -> None:
            nonlocal wrong
            name, headers = [("alice", ALICE), ("bob", BOB)][number % 2]
            response = await client.get("/account", headers=headers)
            assert response.status_code == 200
            wrong += response.json()["user"] != name

        for hundred in range(0, 1000, 50):
            await asyncio.gather(*[one(number) for number in range(hundred, hundred + 50)])
    return wrong


async def test_no_answer_reaches_another_user(redis: Redis) -> None:
    asked: Counter[str] = Counter()

    async def find_account(user: str, year: int) -> bytes:
        asked[user] += 1
        return json.dumps({"user": user}).encode()

    assert await strangers(per_user.create_app(redis, find_account)) == 0
    assert asked.keys() == {"alice", "bob"}
    assert max(asked.values()) <= 25  # the first fifty at once; all others were hits


async def test_with_the_default_key_of_the_decorator_it_does(redis: Redis) -> None:
    def known_user(request: Request, user: Annotated[str, Depends(per_user.current_user)]) -> None:
        request.state.user = user

    app = FastAPI()

    @app.get("/account", dependencies=[Depends(known_user)])
    @cache(expire=60)
    async def account(request: Request) -> dict[str, str]:
        return {"user": request.state.user}

    FastAPICache.reset()
    FastAPICache.init(RedisBackend(redis), prefix="leak")
    assert await strangers(app) >= 400
    FastAPICache.reset()


async def test_caches_outside_are_told_that_it_is_private(redis: Redis) -> None:
    async with asking(per_user.create_app(redis)) as client:
        for _ in range(2):
            response = await client.get("/account", headers=ALICE)
            assert response.json() == {"user": "alice", "year": 2026}
            assert response.headers["cache-control"] == "private, max-age=60"
            assert response.headers["vary"] == "Authorization"
        unknown = [await client.get("/account", headers=headers) for headers in ({}, {"Authorization": "Bearer x"})]
    assert [response.status_code for response in unknown] == [401, 401]
    assert not any("max-age" in response.headers.get("cache-control", "") for response in unknown)


def test_no_name_reaches_into_the_rest_of_the_key() -> None:
    assert per_user.key_of("a", "b", c=1) != per_user.key_of("a", 'b", {"c": 1}')
    assert per_user.key_of("a", "b:c") != per_user.key_of("a:b", "c")


# ETag


async def test_the_etag_is_strong_quoted_and_of_the_bytes() -> None:
    async with asking(etag.app) as client:
        first, second = [await client.get("/catalogue") for _ in range(2)]
    assert re.fullmatch(r'"[0-9a-f]{32}"', first.headers["etag"])
    assert first.headers["etag"] == second.headers["etag"] == etag.etag_of(first.content)
    assert etag.etag_of(b"a") != etag.etag_of(b"b")


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("{}", 304),
        ("W/{}", 304),
        ("*", 304),
        (' "other" , {} ', 304),
        ('"other, with a comma",W/{}', 304),
        ('"other"', 200),
        ('"other{}other"', 200),
        ("unquoted", 200),
        ("", 200),
        ('W/"other", "*"', 200),
    ],
)
async def test_if_none_match_in_all_its_forms(header: str, status: int) -> None:
    async with asking(etag.app) as client:
        tag = (await client.get("/catalogue")).headers["etag"]
        response = await client.get("/catalogue", headers={"If-None-Match": header.format(tag)})
    assert response.status_code == status
    assert response.headers["etag"] == tag
    assert response.headers["cache-control"] == "no-cache"
    assert (response.content == b"") == (status == 304)
    assert ("content-length" in response.headers) == ("content-type" in response.headers) == (status == 200)


async def test_if_none_match_may_come_in_several_lines() -> None:
    async with asking(etag.app) as client:
        tag = (await client.get("/catalogue")).headers["etag"]
        lines = [("If-None-Match", '"other"'), ("If-None-Match", tag)]
        assert (await client.get("/catalogue", headers=lines)).status_code == 304


# Redis gone, and hung


@pytest.mark.parametrize(
    ("snippet", "path"),
    [
        (cache_aside, "/price/1?currency=EUR"),
        (per_user, "/account"),
        *[(snippet, "/report/1") for snippet in (single_flight, single_flight_redis, stale_while_revalidate, outage)],
    ],
    ids=lambda value: value.__name__.rpartition(".")[2] if not isinstance(value, str) else "",
)
async def test_where_redis_refuses_the_origin_answers(snippet: Any, path: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with Redis.from_url(f"redis://127.0.0.1:{port}") as nobody, asking(snippet.create_app(nobody)) as client:
        assert {(await client.get(path, headers=ALICE)).status_code for _ in range(3)} == {200}


class Counted(Redis):
    """Counts the commands that are asked of it."""

    asked = 0

    async def execute_command(self, *command: Any, **options: Any) -> Any:
        self.asked += 1
        return await super().execute_command(*command, **options)


@pytest.fixture
async def counted(real_redis: RealRedis) -> AsyncIterator[Counted]:
    async with Counted.from_url(real_redis.url, socket_timeout=0.2, socket_connect_timeout=0.2) as client:
        await client.flushall()
        client.asked = 0
        yield client


async def test_a_hung_redis_costs_one_short_wait_and_then_nothing(counted: Counted, real_redis: RealRedis) -> None:
    waits = []
    for _ in range(3):
        kept = outage.Cache(counted, pause=60)
        await kept.get("key", Origin())  # connected
        real_redis.hang()
        try:
            began = perf_counter()
            assert await kept.get("another", Origin()) == b"made"
            waits.append(perf_counter() - began)
            counted.asked = 0
            for number in range(1000):
                assert await kept.get(f"key {number}", Origin()) == b"made"
            assert counted.asked == 0
        finally:
            real_redis.go_on()
    assert min(waits) <= 0.25
    assert max(waits) <= 0.75  # on a machine that is busy with something else


async def test_of_many_requests_one_tries_redis_again_and_then_all_use_it(
    counted: Counted, real_redis: RealRedis
) -> None:
    kept = outage.Cache(counted, pause=0.3)
    real_redis.hang()
    try:
        await asyncio.gather(*[kept.get(f"key {number}", Origin()) for number in range(50)])
        await asyncio.sleep(0.35)
        counted.asked = 0
        await asyncio.gather(*[kept.get(f"key {number}", Origin()) for number in range(50)])
        assert counted.asked == 1
    finally:
        real_redis.go_on()

    async def used() -> bool:
        origin = Origin()
        await kept.get("key", origin)
        return origin.calls == 0

    await until(used)
    counted.asked = 0
    await asyncio.gather(*[kept.get("key", Origin()) for _ in range(50)])
    assert counted.asked == 50


async def test_redis_stopped_and_started_under_load_is_no_failure_and_is_used_again(
    counted: Counted, real_redis: RealRedis
) -> None:
    added, statuses, calls = [], Counter[int](), 0
    app, kept = FastAPI(), outage.Cache(counted, pause=0.2)

    async def origin() -> bytes:
        nonlocal calls
        calls += 1
        return await asyncio.sleep(0.01, b"{}")

    @app.get("/report/{number}")
    async def report(number: int) -> Response:
        return Response(await kept.get(f"report:{number}", origin), media_type="application/json")

    going = True

    async def one_user(client: httpx.AsyncClient) -> None:
        while going:
            began = perf_counter()
            statuses[(await client.get("/report/1")).status_code] += 1
            added.append(perf_counter() - began)

    async def calls_in(seconds: float) -> int:
        before = calls
        await asyncio.sleep(seconds)
        return calls - before

    async with asking(app) as client:
        users = [asyncio.create_task(one_user(client)) for _ in range(5)]
        await calls_in(0.3)
        with_redis = await calls_in(0.5)
        await asyncio.to_thread(real_redis.stop)
        without_redis = await calls_in(0.5)
        await asyncio.to_thread(real_redis.start)
        await calls_in(0.5)

        async def used() -> bool:
            return await calls_in(0.2) == 0

        await until(used)
        going = False
        await asyncio.gather(*users)
    assert with_redis == 0
    assert without_redis > 10
    assert set(statuses) == {200}
    assert max(added) < 0.75


async def test_a_busy_pool_of_connections_does_not_open_the_breaker(
    real_redis: RealRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis.from_url(real_redis.url, max_connections=1) as client:
        kept = outage.Cache(client)
        await asyncio.gather(*[kept.get("key", Origin()) for _ in range(20)])
    assert "without Redis" not in caplog.text


# Four processes


class Shared:
    """An origin over HTTP, and four processes that ask it and share a real Redis."""

    def __init__(self, redis_url: str) -> None:
        self.calls: list[tuple[str, int]] = []  # what was asked for, by which process
        app = FastAPI()

        @app.get("/{path:path}")
        async def make(path: str, pid: int) -> Response:
            self.calls.append((path, pid))
            if path == "held" and len(self.calls) == 1:
                return await asyncio.sleep(30, Response(b"nobody waits so long"))
            await asyncio.sleep(0.5)
            return Response(b"made", status_code=500 if path == "broken" else 200)

        self.origin = serve(app)
        self.env = {"REDIS_URL": redis_url, "ORIGIN_URL": self.origin.url}
        with ThreadPoolExecutor() as pool:
            self.workers = list(pool.map(self.launched, range(4)))

    def launched(self, _: int) -> Launched:
        command = ["uvicorn", "tests.snippets.caching_worker:app", "--port", "{port}", "--log-level", "warning"]
        return launch(command, cwd=ROOT, env=self.env, ready="/etag/catalogue", seconds=60)

    async def ask(self, path: str, times: int = 50, **options: Any) -> list[httpx.Response | BaseException]:
        """So many requests at once, shared out evenly among the processes."""
        async with httpx.AsyncClient(timeout=30) as client:
            urls = [self.workers[number % 4].url + path for number in range(times)]
            return await asyncio.gather(*[client.get(url, **options) for url in urls], return_exceptions=True)

    def stop(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(Launched.stop, self.workers))
        self.origin.stop()


@pytest.fixture(scope="module")
def four(real_redis: RealRedis) -> Iterator[Shared]:
    shared = Shared(real_redis.url)
    yield shared
    shared.stop()


@pytest.fixture
async def shared(four: Shared, real_redis: RealRedis) -> Shared:
    async with Redis.from_url(real_redis.url) as client:
        await client.flushall()
    four.calls.clear()
    return four


def answered(responses: list[httpx.Response | BaseException]) -> list[httpx.Response]:
    return [response for response in responses if isinstance(response, httpx.Response)]


@pytest.mark.parametrize(
    ("kind", "calls"), [("with_fastapi_cache", 50), ("single_flight", 4), ("single_flight_redis", 1)]
)
async def test_fifty_misses_in_four_processes_make_so_many_calls(shared: Shared, kind: str, calls: int) -> None:
    responses = answered(await shared.ask(f"/{kind}/made"))
    assert Counter(response.status_code for response in responses) == {200: 50}
    assert len({response.headers["x-pid"] for response in responses}) == 4
    assert len(shared.calls) == calls
    assert {response.status_code for response in answered(await shared.ask(f"/{kind}/made"))} == {200}
    assert len(shared.calls) == calls


async def test_a_failing_origin_is_asked_once_and_fails_for_all_in_four_processes(shared: Shared) -> None:
    for round in (1, 2):
        responses = answered(await shared.ask("/single_flight_redis/broken"))
        assert Counter(response.status_code for response in responses) == {502: 50}
        assert all("500 Internal Server Error" in response.text for response in responses)
        assert len(shared.calls) == round  # not kept: the second fifty ask again


async def test_an_etag_is_the_same_in_every_process(shared: Shared) -> None:
    first = answered(await shared.ask("/etag/catalogue", 4))
    tags = {response.headers["etag"] for response in first}
    assert len({response.headers["x-pid"] for response in first}) == 4
    assert len(tags) == 1
    again = answered(await shared.ask("/etag/catalogue", 4, headers={"If-None-Match": tags.pop()}))
    assert [response.status_code for response in again] == [304] * 4
    await shared.ask("/with_fastapi_cache/made", 4)
    of_decorator = answered(await shared.ask("/with_fastapi_cache/made", 4))
    assert len({response.headers["etag"] for response in of_decorator}) == 4  # of hash(), salted in each process


async def test_when_the_holder_of_the_lock_is_killed_one_other_asks(shared: Shared) -> None:
    """The last test, for there are three processes after it."""
    asked = asyncio.create_task(shared.ask("/single_flight_redis/held"))

    async def called() -> bool:
        return bool(shared.calls)

    await until(called)
    await asyncio.sleep(0.3)  # all others wait for it now
    killed = shared.calls[0][1]
    [number] = [
        number
        for number, worker in enumerate(shared.workers)
        if killed in [process.pid for process in worker.processes()]
    ]
    psutil.Process(killed).kill()
    responses = await asked
    assert [isinstance(response, httpx.Response) for response in responses] == [n % 4 != number for n in range(50)]
    assert {response.content for response in answered(responses)} == {b"made"}
    assert len(shared.calls) == 2
    assert shared.calls[1][1] != killed
