"""The checks of chapter 05: each gives the answer a Redis of its own, in memory, and counts calls of the origin."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from lab.judging import awaitable, called, eventually, exercise, require, settled, shown
from lab.pickling import dumps

Origin = Callable[..., Awaitable[Any]]
Cached = Callable[..., Any]

SECONDS = 60


def prepare() -> None:
    """Imports what takes long: an answer's time must not pass with it."""
    import fakeredis  # noqa: F401
    import httpx  # noqa: F401
    from fastapi import FastAPI  # noqa: F401


def redis_in_memory() -> Any:
    """A fresh Redis, whose every command lets other tasks run first, as a real connection would.

    `commands` counts them. `trouble` makes them "refuse" or "hang" instead of answering.
    """
    from fakeredis import FakeAsyncRedis
    from redis.exceptions import ConnectionError

    class Redis(FakeAsyncRedis):
        commands = 0
        trouble = ""

        async def execute_command(self, *args: Any, **options: Any) -> Any:
            self.commands += 1
            await asyncio.sleep(0)
            if self.trouble == "hang":
                await asyncio.Event().wait()
            if self.trouble == "refuse":
                raise ConnectionError("Connection refused")
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    return Redis()


def made(answer: Any, what: str, *arguments: Any) -> Cached:
    """The function that the answer makes."""
    with called(what):
        function = answer(*arguments)
    require(callable(function), got=shown(function), expected="a function", look="return the function made inside")
    return function  # type: ignore[no-any-return]


async def result_of(function: Cached, key: str) -> Any:
    return await awaitable(function(key))


def start(function: Cached, key: str) -> "asyncio.Task[Any]":
    return asyncio.create_task(result_of(function, key))


async def stopped(tasks: "list[asyncio.Task[Any]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


# 5.1 Cache-aside

STOCK = {"tea": 3, "coffee": 0}
LISTED: list[tuple[Any, ...]] = [("a:b", "c"), ("a", "b:c"), (1,), ("1",), (-1,), (-2,)]


@exercise("5.1", seconds=8)
async def cache_aside(answer: Callable[[Origin, Any, int], Cached]) -> str:
    """Cache-aside with a time to live."""
    redis = redis_in_memory()
    calls: list[tuple[Any, ...]] = []
    broken = False

    async def price(*args: Any) -> Any:
        calls.append(args)
        if broken:
            raise LookupError("the origin is broken")
        return {"of": [*args], "café": 1.5, "sold out": None}

    async def stock(*args: Any) -> Any:
        calls.append(args)
        return STOCK.get(args[0])

    async def empty(*args: Any) -> Any:
        calls.append(args)
        return []

    prices = made(answer, f"cached(price, redis, {SECONDS})", price, redis, SECONDS)

    async def ask(function: Cached, what: str, *args: Any, expected: Any, times: int, look: str = "") -> None:
        """One call, which must give `expected`, and ask the origin so many times."""
        calls.clear()
        with called(what):
            got = await awaitable(function(*args))
        require(
            repr(got) == repr(expected),
            got=shown(got),
            expected=shown(expected),
            look=look or "a hit gives what the miss gave: json.dumps on the way in, json.loads on the way out",
        )
        require(
            len(calls) == times,
            got=f"{len(calls)} calls of the origin",
            expected=str(times),
            look=look,
        )

    def of(*args: Any) -> dict[str, Any]:
        return {"of": [*args], "café": 1.5, "sold out": None}

    await ask(prices, 'the first call of price("tea")', "tea", expected=of("tea"), times=1)
    with called("looking at the keys in Redis"):
        keys = await redis.keys("*")
    require(keys, got="none after a miss", expected="a key with the result", look="await redis.set(...)")
    for key in keys:
        left = await redis.pttl(key)
        require(
            left != -1,
            got="a key that never expires",
            expected=f"one that Redis deletes after {SECONDS} s",
            look=f"set(..., ex={SECONDS}): without it a stale price is served for ever, and the memory fills",
        )
        require(
            SECONDS * 500 < left <= SECONDS * 1000,
            got=f"a key that lives for {max(left, 0) / 1000:.2g} s"
            if left < 1000
            else f"a key that lives for {left // 1000} s",
            expected=f"one that lives for {SECONDS} s",
            look="ex= takes seconds, px= milliseconds",
        )
    hit = 'a second call of price("tea")'
    await ask(prices, hit, "tea", expected=of("tea"), times=0)
    again = made(answer, "cached(price, redis, 60), as in another process", price, redis, SECONDS)
    await ask(again, 'price("tea") in another process', "tea", expected=of("tea"), times=0, look=SHARED)
    await redis.flushall()
    await ask(prices, 'price("tea") after it has expired', "tea", expected=of("tea"), times=1, look=SHARED)

    other = "what gives another result needs another key: the function's name, and every argument"
    await ask(prices, 'price("coffee") after price("tea")', "coffee", expected=of("coffee"), times=1, look=other)
    looks: dict[tuple[object, ...], str] = {
        ("a", "b:c"): "arguments that are joined can be cut elsewhere: json.dumps or repr keep them apart",
        ("1",): "str(1) and '1' are the same text: json.dumps or repr keep them apart",
        (-2,): "hash(-1) == hash(-2), and the hash of a str differs in each process: put the arguments into the key",
    }
    for args in LISTED:
        what = f"price({', '.join(map(repr, args))}) after others"
        await ask(prices, what, *args, expected=of(*args), times=1, look=looks.get(args, other))
    stocks = made(answer, f"cached(stock, redis, {SECONDS})", stock, redis, SECONDS)
    await ask(stocks, 'stock("tea") after price("tea")', "tea", expected=3, times=1, look=FUNCTION)

    nothing = "a value that is None, 0 or [] is a result as well: only what Redis gives as None is a miss"
    nones = made(answer, f"cached(empty, redis, {SECONDS})", empty, redis, SECONDS)
    for function, name, args, expected in (
        (stocks, "stock", ("nothing",), None),
        (stocks, "stock", ("coffee",), 0),
        (nones, "empty", ("tea",), []),
    ):
        text = f'{name}("{args[0]}"), which gives {expected!r}'
        await ask(function, text, *args, expected=expected, times=1)
        await ask(function, f"{text}, again", *args, expected=expected, times=0, look=nothing)

    broken = True
    await fails(prices, 'price("milk"), whose origin raises LookupError', "milk")
    broken = False
    await ask(prices, 'price("milk") when the origin works again', "milk", expected=of("milk"), times=1, look=ERRORS)
    return "a hit asks nobody, for every result and every argument, for a minute; an error is not kept"


SHARED = "the cache is in Redis: what a process keeps for itself is not shared, and does not expire"
FUNCTION = "two functions, one Redis: the function's name belongs into the key"
ERRORS = "an error is not a result: let it pass, and store nothing"


async def fails(function: Cached, what: str, key: str) -> None:
    """The error of the origin must come out."""
    with called(what):
        try:
            got = await awaitable(function(key))
        except LookupError:
            return
    require(False, got=shown(got), expected="the LookupError", look="let the origin's error pass to the caller")


# 5.2 Single flight


class Gated:
    """An origin that answers when the check lets it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}
        self.broken = False

    async def __call__(self, key: str) -> bytes:
        self.calls.append(key)
        await self.gate(key).wait()
        if self.broken:
            raise LookupError("the origin is broken")
        return key.encode()

    def gate(self, key: str) -> asyncio.Event:
        return self.gates.setdefault(key, asyncio.Event())


@exercise("5.2", seconds=12)
async def single_flight(answer: Callable[[Origin, Any], Cached]) -> str:
    """Single flight in one process."""
    redis, origin = redis_in_memory(), Gated()
    cached = made(answer, "single_flight(origin, redis)", origin, redis)
    everybody: list[asyncio.Task[Any]] = []

    def ask(key: str, number: int) -> "list[asyncio.Task[Any]]":
        tasks = [start(cached, key) for _ in range(number)]
        everybody.extend(tasks)
        return tasks

    try:
        await together(ask, origin)
        await failing(ask, origin)
        await giving_up(ask, origin)
    finally:
        for gate in origin.gates.values():
            gate.set()
        await stopped(everybody)
        await settled()
    return "1 origin call for 50 callers, one failure for all who wait, and a caller who gives up harms nobody"


Ask = Callable[[str, int], "list[asyncio.Task[Any]]"]


async def ended(tasks: "list[asyncio.Task[Any]]", look: str, within: float = 2) -> None:
    done = await eventually(lambda: all(task.done() for task in tasks), within)
    waiting = sum(not task.done() for task in tasks)
    require(done, got=f"{waiting} of {len(tasks)} callers still waiting", expected="an answer for each", look=look)


async def together(ask: Ask, origin: Gated) -> None:
    with called('50 calls of cached("tea") at once, with nothing cached'):
        many = ask("tea", 50)
        await eventually(lambda: origin.calls or many[0].done())
        await settled()
        early = [task for task in many if task.done()]
        for task in early:
            task.result()  # an exception of the answer is told as such
        require(not early, got=f"{shown(early and early[0].result())} before the origin answered", expected="b'tea'")
        require(
            len(origin.calls) == 1,
            got=f"{len(origin.calls)} calls of the origin",
            expected="1",
            look="no await between the look whether somebody is on the way and the note that you are",
        )
    with called('cached("coffee") while the origin works on tea'):
        coffee = ask("coffee", 1)
        origin.gate("coffee").set()
        await ended(coffee, "one lock for all keys makes everybody wait for the slowest: one for each key", within=1)
        require(coffee[0].result() == b"coffee", got=shown(coffee[0].result()), expected="b'coffee'")
    origin.gate("tea").set()
    with called('50 calls of cached("tea") at once, when the origin answers'):
        await ended(many, "those who wait get what the first one got")
        for task in many:
            require(task.result() == b"tea", got=shown(task.result()), expected="b'tea'")
        times = origin.calls.count("tea")
        require(
            times == 1,
            got=f"{times} calls of the origin, one after the other",
            expected="1",
            look="when a lock lets you in, look into the cache again: whoever was before you has filled it",
        )
    with called('cached("tea") afterwards'):
        later = ask("tea", 1)
        await ended(later, "a hit needs no flight")
        require(later[0].result() == b"tea", got=shown(later[0].result()), expected="b'tea'")
        times = origin.calls.count("tea")
        require(times == 1, got="another call of the origin", expected="a hit", look="store the result in Redis")


async def failing(ask: Ask, origin: Gated) -> None:
    with called('5 calls of cached("milk") at once, whose origin raises LookupError'):
        many = ask("milk", 5)
        await eventually(lambda: "milk" in origin.calls)
        await settled()
        origin.broken = True
        origin.gate("milk").set()
        await ended(many, "the error, too, must reach those who wait: try, finally")
        for task in many:
            error = None if task.cancelled() else task.exception()
            require(
                isinstance(error, LookupError),
                got="a CancelledError" if task.cancelled() else shown(error or task.result()),
                expected="the LookupError for each of them",
                look="let the error pass, to everybody who waits",
            )
        times = origin.calls.count("milk")
        require(
            times == 1,
            got=f"{times} calls of a broken origin, one after the other",
            expected="1: those who wait share its error",
            look="behind a lock everybody tries again; behind a shared task, all get what it got",
        )
    origin.broken = False
    with called('cached("milk") when the origin works again'):
        again = ask("milk", 1)
        await ended(again, "forget the flight when it has ended, also when it failed")
        error = again[0].exception()
        require(
            error is None,
            got=f"the old {shown(error)}",
            expected="b'milk'",
            look="forget the flight when it has ended, also when it failed: try, finally",
        )
        require(again[0].result() == b"milk", got=shown(again[0].result()), expected="b'milk'")


async def giving_up(ask: Ask, origin: Gated) -> None:
    with called('3 calls of cached("bread") at once, of which the first is cancelled'):
        first, *others = ask("bread", 3)
        await eventually(lambda: "bread" in origin.calls)
        await settled()
        first.cancel()
        await settled()
        origin.gate("bread").set()
        await ended(others, "whoever is first may give up: the work must not depend on it")
        for task in others:
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            require(
                error is None,
                got=f"{type(error).__name__} for those who did not give up",
                expected="b'bread'",
                look="the work in a task of its own, awaited through asyncio.shield",
            )
            require(task.result() == b"bread", got=shown(task.result()), expected="b'bread'")
        times = origin.calls.count("bread")
        require(times <= 2, got=f"{times} calls of the origin", expected="1, or 2 if somebody else takes over")


# 5.3 Per user

USERS = {"a1": "alice", "b1": "bob", "c1": "carol"}


@exercise("5.3", seconds=10)
async def per_user(answer: Callable[[Any, Any, Any], Any]) -> str:
    """A cache that keeps users apart."""
    import httpx

    redis, tokens = redis_in_memory(), dict(USERS)
    calls: list[str] = []

    def user_of(token: str) -> str | None:
        return tokens.get(token)

    async def account_of(user: str) -> dict[str, str]:
        calls.append(user)
        await asyncio.sleep(0)
        return {"owner": user}

    app = made(answer, "make_app(user_of, account_of, redis)", user_of, account_of, redis)
    transport = httpx.ASGITransport(app)

    async def get(token: str, what: str = "") -> Any:
        sent = f"GET /account with the token of {USERS.get(token, 'nobody')}{what}"
        async with httpx.AsyncClient(transport=transport, base_url="http://app", trust_env=False) as client:
            with called(sent):
                return await client.get("/account", headers={"Authorization": f"Bearer {token}"} if token else {})

    async def own(token: str, what: str = "") -> None:
        answered = await get(token, what)
        require(answered.status_code == 200, got=f"status {answered.status_code}", expected="status 200")
        body = answered.json()
        require(
            body == {"owner": USERS[token]},
            got=shown(body),
            expected=shown({"owner": USERS[token]}),
            look="the key must name the user whose answer it is",
        )
        safe(answered.headers)

    await own("a1")
    await own("a1", ", again")
    require(calls == ["alice"], got=f"{len(calls)} calls of account_of", expected="1: the second is a hit")
    await own("b1", ", after alice")
    for token in [*USERS] * 20:
        await own(token, ", among others")
    await asyncio.gather(*(own(token, ", at the same time as others") for token in [*USERS] * 5))
    for token, what in (("x", ", unknown"), ("", ", without a token")):
        answered = await get(token, what)
        require(answered.status_code == 401, got=f"status {answered.status_code}", expected="status 401", look=FIRST)
    del tokens["a1"]
    answered = await get("a1", ", which was revoked")
    require(
        answered.status_code == 401,
        got=f"status {answered.status_code}: {shown(answered.json())}",
        expected="status 401",
        look=FIRST,
    )
    return "each user their own, on misses and on hits, and nothing that a proxy may keep"


FIRST = "first who it is, then the cache: a hit must not skip the check of the token"


def safe(headers: Any) -> None:
    """Refuses headers by which a shared cache might keep the response."""
    control = headers.get("cache-control", "")
    words = {word.strip().partition("=")[0].lower() for word in control.split(",") if word.strip()}
    require(
        words,
        got="no Cache-Control",
        expected="Cache-Control: private",
        look="on a hit as well as on a miss: a response that you build yourself has its own headers",
    )
    require(
        words & {"private", "no-store"} and not words & {"public", "s-maxage"},
        got=f"Cache-Control: {control}",
        expected="Cache-Control: private",
        look="a proxy between you and your users may keep anything that is not private, for all of them",
    )
    vary = {word.strip().lower() for word in headers.get("vary", "").split(",")}
    require(
        vary & {"authorization", "*"},
        got=f"Vary: {headers['vary']}" if "vary" in headers else "no Vary",
        expected="Vary: Authorization",
        look="two users of one browser share its cache: Vary tells it which request header makes a difference",
    )


# 5.4 ETag

BODIES = [b'{"price": 1}', b'{"price": 2}', b'{"price": 1, "stock": 3}', b""]


@exercise("5.4", seconds=15)
async def etag(answer: Callable[[bytes, str | None], Any]) -> str:
    """An ETag that every worker agrees on."""
    elsewhere = dumps((answer, BODIES[0]))  # now: what it has done once may not be able to leave this process
    tags = [tag_of(answer, body) for body in BODIES]
    require(
        len(set(tags)) == len(tags),
        got=f"one ETag for two bodies: {shown(tags)}",
        expected="another ETag for another body",
        look="from the whole body: what is not in the digest may change unnoticed",
    )
    body, tag = BODIES[0], tags[0]
    again = tag_of(answer, body)
    require(
        tag == again,
        got=f"{tag}, then {again}",
        expected="the same ETag for the same body",
        look="an ETag is made of the body, and of nothing else",
    )
    for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        with called(f"conditional({body!r}, {sent!r})"):
            answered = answer(body, sent)
        matched(answered, tag, sent)
    with called(f"conditional({BODIES[1]!r}, {tag!r}), whose body has changed"):
        answered = answer(BODIES[1], tag)
    whole(answered, BODIES[1])
    for sent in ('"x"', tag[:-2] + '"', '"' + tag.strip('"') + 'x"', '"x", "y"'):
        with called(f"conditional({body!r}, {sent!r}), which does not match {tag}"):
            answered = answer(body, sent)
        whole(answered, body)
    with called(f"conditional({body!r}, None) in another process"):
        there = await asyncio.to_thread(in_another_process, elsewhere)
    require(
        there == tag,
        got="another ETag for the same body" if there else "no ETag",
        expected="the same ETag in every worker",
        look="hash() of bytes or str is salted in each process: hashlib is not",
    )
    return "quoted, made of the body, equal in another process, and a 304 without a body where it matches"


def tag_of(answer: Any, body: bytes) -> str:
    with called(f"conditional({body!r}, None)"):
        answered = answer(body, None)
    whole(answered, body)
    tag = answered.headers.get("etag", "")
    require(tag, got="no ETag", expected="an ETag", look='Response(body, headers={"ETag": ...})')
    quoted = tag.removeprefix("W/")
    require(
        len(quoted) > 2 and quoted[0] == quoted[-1] == '"' and '"' not in quoted[1:-1],
        got=f"ETag: {tag}",
        expected='ETag: "…"',
        look="the quotes belong to the tag (RFC 9110, 8.8.3): proxies and browsers drop what they cannot read",
    )
    return quoted  # type: ignore[no-any-return]


def is_response(answered: Any) -> None:
    from starlette.responses import Response

    require(isinstance(answered, Response), got=shown(answered), expected="a Response", look="return Response(...)")


def whole(answered: Any, body: bytes) -> None:
    is_response(answered)
    require(answered.status_code == 200, got=f"status {answered.status_code}", expected="status 200")
    require(answered.body == body, got=f"body {shown(answered.body)}", expected=f"body {body!r}")


def matched(answered: Any, tag: str, sent: str) -> None:
    is_response(answered)
    looks = {
        f"W/{tag}": "a proxy that compresses makes a tag weak: for a GET, W/ does not matter (RFC 9110, 13.1.2)",
        f'"x", {tag}': "If-None-Match may hold several tags, with commas between",
        "*": "* matches whatever there is",
    }
    require(
        answered.status_code == 304,
        got=f"status {answered.status_code}",
        expected="status 304",
        look=looks.get(sent, "If-None-Match holds the ETag that the client has"),
    )
    require(
        not answered.body and answered.headers.get("content-length", "0") == "0",
        got=f"a body of {len(answered.body)} bytes with the 304",
        expected="no body",
        look="a 304 ends with its headers: the bytes of a body would be read as the next response",
    )
    kept = answered.headers.get("etag", "").removeprefix("W/")
    require(kept == tag, got=f"ETag: {kept}" if kept else "no ETag", expected=f"ETag: {tag}", look="on the 304 as well")


CHILD = """
import sys, cloudpickle
answer, body = cloudpickle.loads(sys.stdin.buffer.read())
tag = answer(body, None).headers.get("etag", "")
sys.stdout.write("\\n" + tag)  # in a line of its own: the answer may print
"""


def in_another_process(pickled: bytes) -> str:
    """The ETag that a process with another hash salt makes."""
    salt = str(1 + int(os.environ.get("PYTHONHASHSEED", "0").replace("random", "0")))
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=pickled,
        env={**os.environ, "PYTHONHASHSEED": salt},
        capture_output=True,
        timeout=12,
        check=False,
    )
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    require(done.returncode == 0, got=f"an end with {last or 'an error'}", expected="an ETag")
    return done.stdout.decode(errors="replace").rpartition("\n")[2].strip().removeprefix("W/")


# 5.5 Outage

REST = 5.0  # seconds for which the answer leaves a Redis alone that has failed


@exercise("5.5", seconds=15)
async def outage(answer: Callable[[Origin, Any, Any], Cached]) -> str:
    """A cache that may fail."""
    for briefly in (True, False):
        for trouble, what in (("refuse", "refuses"), ("hang", "hangs")):
            await while_it(trouble, what, answer, briefly)
    return "the origin's answer whether Redis refuses or hangs, one delay, and the cache again when it is back"


async def while_it(trouble: str, what: str, answer: Callable[[Origin, Any, Any], Cached], briefly: bool) -> None:
    """Redis up and in trouble; and, unless `briefly`, up again, and in trouble between two commands."""
    calls: list[str] = []
    broken, meanwhile = False, ""
    now = 1000.0

    async def origin(key: str) -> bytes:
        calls.append(key)
        redis.trouble = redis.trouble or meanwhile
        if broken:
            raise LookupError("the origin is broken")
        return key.encode()

    redis = redis_in_memory()
    cached = made(answer, "fail_open(origin, redis, clock)", origin, redis, lambda: now)

    async def ask(key: str, text: str) -> None:
        with called(f'cached("{key}") {text}'):
            task = start(cached, key)
            try:
                done = await eventually(task.done, within=3)
                require(done, got="no answer within 3 s", expected=f"b'{key}', from the origin", look=HANGS)
                require(task.result() == key.encode(), got=shown(task.result()), expected=repr(key.encode()))
            finally:
                await stopped([task])

    await ask("tea", "with Redis up")
    await ask("tea", "with Redis up, again")
    require(calls == ["tea"], got=f"{len(calls)} calls of the origin", expected="1: the second is a hit")
    redis.trouble = trouble
    await ask("tea", f"while Redis {what}")
    require(len(calls) == 2, got=f"{len(calls) - 1} calls of the origin", expected="1", look=TWICE)
    if briefly:
        return
    redis.commands = 0
    for number in range(10):
        now += 0.08 * REST
        await ask(f"{number}", f"while Redis {what}, after a first failure")
    require(
        redis.commands == 0,
        got=f"{redis.commands} more commands in 10 requests, within {REST:g} s of the clock",
        expected="none: the first failure was enough",
        look="note when it failed, and leave Redis alone for a while: a circuit breaker",
    )
    redis.trouble = ""
    now += 2 * REST
    for text in ("", ", again"):
        calls.clear()
        await ask("milk", f"10 s after the failure, with Redis up{text}")
    require(
        not calls,
        got="another call of the origin",
        expected="a hit: Redis is back",
        look=f"try Redis again after {REST:g} s of clock()",
    )
    broken = True
    calls.clear()
    await fails(cached, 'cached("bread"), whose origin raises LookupError, with Redis up', "bread")
    require(len(calls) == 1, got=f"{len(calls)} calls of the origin", expected="1", look=TWICE)
    broken = False
    calls.clear()
    await ask("milk", "after an error of the origin")
    require(
        not calls,
        got="another call of the origin",
        expected="a hit",
        look="an error of the origin is none of Redis",
    )
    meanwhile = trouble
    await ask("cake", f"when Redis {what} after its get, before the set")
    require(len(calls) == 1, got=f"{len(calls)} calls of the origin", expected="1", look=TWICE)
    meanwhile, now = "", now + 100
    calls.clear()


HANGS = "a connection that hangs raises nothing: asyncio.timeout around each command"
TWICE = "try around the commands to Redis alone: around the origin as well, its error looks like one of Redis"
