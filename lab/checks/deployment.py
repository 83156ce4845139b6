"""The checks of chapter 06: a real uvicorn under SIGTERM, machines that gunicorn is set up for, proxies, an image."""

import asyncio
import contextlib
import json
import re
import shlex
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import import_module
from ipaddress import ip_address
from itertools import pairwise
from posixpath import basename, join, normpath
from typing import Any

from lab.judging import called, eventually, exercise, one_line, raised_at, refuse_for, require, settled, shown


def prepare() -> None:
    """Imports what takes long: an answer's time must not pass with it."""
    import httpx  # noqa: F401
    import uvicorn  # noqa: F401
    from fastapi import FastAPI  # noqa: F401

    with contextlib.suppress(ImportError):
        import_module("gunicorn.config")


# 6.1 Drain

Work = Callable[[], Awaitable[str]]
Feed = Callable[[asyncio.Event], AsyncIterator[str]]
MakeApp = Callable[[Work, Feed, Callable[[], Awaitable[None]]], Any]


class Service:
    """What the app does, and the balancer in front of it: the check lets both go on."""

    def __init__(self) -> None:
        self.started = self.streams = self.waits = 0
        self.gate, self.noticed = asyncio.Event(), asyncio.Event()

    async def work(self) -> str:
        self.started += 1
        if self.started == 1:  # the request in flight; those that come later are quick
            await self.gate.wait()
        return "done"

    async def feed(self, leaving: asyncio.Event) -> AsyncIterator[str]:
        self.streams += 1
        yield "first, "
        await leaving.wait()
        yield "last"

    async def notice(self) -> None:
        self.waits += 1
        await self.noticed.wait()


class Raised:
    """An app that remembers what the app inside has raised, in a request, in a task or in a callback."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.errors: list[BaseException] = []
        self.tasks: list[asyncio.Task[Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_task_factory(self.note)
        loop.set_exception_handler(lambda _, context: self.errors.extend(filter(None, [context.get("exception")])))

    def note(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> "asyncio.Task[Any]":
        task = asyncio.Task(work, loop=loop, **options)
        self.tasks.append(task)
        return task

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except Exception as error:
            self.errors.append(error)
            raise

    def tell(self) -> None:
        """Refuses the answer for the first exception that came out of it, be it one that nobody awaited."""
        ended = [task.exception() for task in self.tasks if task.done() and not task.cancelled()]
        for error in [*self.errors, *ended]:
            if error is not None and (error in self.errors or raised_at(error)):
                refuse_for(error)


@contextlib.contextmanager
def harmless_sigterm() -> Iterator[None]:
    """A SIGTERM that nobody else listens to does nothing: uvicorn raises it again when it has stopped."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@exercise("6.1", seconds=20)
async def graceful_drain(answer: MakeApp) -> str:
    """A graceful drain."""
    import httpx
    import uvicorn

    service = Service()
    with called("make_app(work, feed, noticed)"):
        app = answer(service.work, service.feed, service.notice)
    require(callable(app), got=shown(app), expected="an app", look="return app")
    raised = Raised(app)
    server = uvicorn.Server(uvicorn.Config(raised, log_config=None, lifespan="on", timeout_graceful_shutdown=None))
    listener = socket.create_server(("127.0.0.1", 0))
    url, limits = f"http://127.0.0.1:{listener.getsockname()[1]}", httpx.Limits(max_keepalive_connections=0)
    with harmless_sigterm():
        serving = asyncio.create_task(served(server, listener))
        try:
            with called("the start of the app under uvicorn"):
                await eventually(lambda: server.started or serving.done(), within=5)
                raised.tell()
                require(server.started and not serving.done(), got="no start", expected="a start", look="the lifespan")
            async with httpx.AsyncClient(base_url=url, limits=limits, timeout=None, trust_env=False) as client:
                await Draining(service, server, serving, client, raised).watch()
        finally:
            server.should_exit = server.force_exit = True
            service.gate.set()
            await asyncio.wait([serving], timeout=1)
            await stopped(serving)
    return "after SIGTERM red and at work, then nothing new, nothing cut, every stream at its end, and gone"


async def served(server: Any, listener: socket.socket) -> None:
    with contextlib.suppress(SystemExit), listener:  # with which uvicorn ends when a lifespan fails to start
        await server.serve([listener])


async def stopped(*tasks: "asyncio.Task[Any]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Draining:
    """One run of the app, from its first request to the end of the server. Each request comes by a new connection."""

    def __init__(self, service: Service, server: Any, serving: "asyncio.Task[None]", client: Any, raised: Raised):
        self.service, self.server, self.serving, self.client, self.raised = service, server, serving, client, raised

    async def watch(self) -> None:
        for path in ("/live", "/ready"):
            await self.expect(200, f"GET {path}", path)
        request, stream = (asyncio.create_task(self.client.get(path)) for path in ("/work", "/feed"))
        try:
            with called("GET /work and GET /feed"):
                both = await eventually(lambda: self.service.started and self.service.streams, within=3)
                self.raised.tell()
                require(both, got="no call of work() or of feed(leaving)", expected="one of each")
            await self.until_noticed(request, stream)
            await self.from_then_on(request, stream)
        finally:
            await stopped(request, stream)

    async def until_noticed(self, request: "asyncio.Task[Any]", stream: "asyncio.Task[Any]") -> None:
        after = "after SIGTERM, before noticed() returns"
        early = OWN if signal.getsignal(signal.SIGTERM) == self.server.handle_exit else EARLY
        with called("SIGTERM, with a request and a stream in flight"):
            signal.raise_signal(signal.SIGTERM)
            await eventually(lambda: self.service.waits or self.server.should_exit)
            await self.still_open(early)
        await self.expect(503, f"GET /ready {after}", "/ready", GREEN)
        await self.expect(200, f"GET /live {after}", "/live", LIVE)
        await self.expect(200, f"GET /work {after}, by a new connection", "/work", NEW)
        with called("a second SIGTERM, before noticed() returns"):
            signal.raise_signal(signal.SIGTERM)
            await self.still_open(SECOND)
        await self.expect(200, "GET /work after a second SIGTERM, before noticed() returns", "/work", NEW)
        with called(f"the request in flight, {after}"):
            require(not request.done(), got=ended(request), expected="nothing, while its work goes on", look=CUT)
        if stream.done():
            with called(f"the stream, {after}"):
                require(ended(stream) == WHOLE, got=ended(stream), expected=WHOLE, look=TORN)

    async def from_then_on(self, request: "asyncio.Task[Any]", stream: "asyncio.Task[Any]") -> None:
        after = "after noticed() has returned"
        with called(f"the stream, {after}"):
            self.service.noticed.set()
            await eventually(stream.done, within=3)
            self.raised.tell()
            require(stream.done(), got="still open after 3 s", expected="its end", look=HANGS)
            require(ended(stream) == WHOLE, got=ended(stream), expected=WHOLE, look=TORN)
        with called(f"the request in flight, {after}"):
            await eventually(lambda: self.server.should_exit, within=0.5)  # it may wait for the request, and stop then
            await settled()
            require(not request.done(), got=ended(request), expected="nothing, while its work goes on", look=CUT)
            self.service.gate.set()
            await eventually(request.done, within=3)
            require(ended(request) == DONE, got=ended(request), expected=DONE, look=CUT)
        with called("uvicorn, when the last request has ended"):
            gone = await eventually(self.serving.done, within=3)
            self.raised.tell()
            look = STAYS if self.server.should_exit else NEVER
            require(gone, got="still running after 3 s", expected="its end", look=look)

    async def still_open(self, look: str) -> None:
        """uvicorn was not told to stop: it would close its port within a tenth of a second."""
        await settled()
        self.raised.tell()
        stops = self.server.should_exit
        require(not stops, got="uvicorn closes its port", expected="an open port until noticed() returns", look=look)

    async def expect(self, status: int, what: str, path: str, look: str = "") -> None:
        request = asyncio.create_task(self.client.get(path))
        with called(what):
            await asyncio.wait([request], timeout=3)
            told = ended(request)
            await stopped(request)
            if not told.startswith(f"status {status}"):
                self.raised.tell()
                require(False, got=told, expected=f"status {status}", look=look)


DONE = "status 200: 'done'"
WHOLE = "status 200: 'first, last'"


def ended(request: "asyncio.Task[Any]") -> str:
    """How a request has ended."""
    if not request.done():
        return "no answer within 3 s"
    if request.cancelled():
        return "cancelled, as everything of this loop"
    if error := request.exception():
        return f"no whole answer: {type(error).__name__}"
    response = request.result()
    text = response.text.strip('"')  # as JSON, or as plain text
    return f"status {response.status_code}: {shown(text)}"


OWN = "SIGTERM still calls uvicorn's handler alone, and the lifespan ends after all: put yours in before the yield"
EARLY = "a balancer that has not noticed yet sends requests to a closed port: await noticed() first"
GREEN = "the balancer asks /ready to know whether to send more: red from the first moment"
LIVE = "whoever asks /live kills what is not alive: it is, and it works for those in flight"
NEW = "who has not noticed yet still sends requests: red is only what /ready answers"
SECOND = "a launcher may send it twice, to the parent and to the group: your handler must stay in its place"
HANGS = "leaving.set() once noticed() has returned: uvicorn waits for a stream as long as it takes"
TORN = "let the stream end by itself, soon after leaving is set: what is cancelled ends in the middle"
CUT = "uvicorn waits for requests in flight by itself: cancel nothing, and do not exit"
NEVER = "when noticed() has returned, call the handler that uvicorn had installed: handler(signal.SIGTERM, None)"
STAYS = "what comes after the yield must end: cancel what you started, do not wait for it"


# 6.2 gunicorn

Settings = Callable[[float, int, int], dict[str, Any]]

FREE = "it waits more than it computes: one for each whole core, and at least one"
FULL = "all workers together may take 80 % of memory_mb: round down"
MACHINES: list[tuple[tuple[float, int, int], int, str]] = [
    ((2, 2048, 150), 2, FREE),
    ((8, 1024, 200), 4, FULL),
    ((4, 700, 150), 3, FULL),
    ((16, 65536, 300), 16, FREE),
    ((1.5, 4096, 200), 1, FREE),
    ((0.5, 512, 150), 1, "half a core is enough for one worker: at least one"),
]
TOO_SMALL = (2, 160, 150)
DEFAULTS = {
    "worker_class": "sync",
    "timeout": 30,
    "graceful_timeout": 30,
    "keepalive": 2,
    "preload_app": False,
    "worker_tmp_dir": None,
}
NUMBERS = ("workers", "timeout", "graceful_timeout", "keepalive")  # gunicorn says little of what is none


@exercise("6.2", seconds=5)
async def gunicorn_settings(answer: Settings) -> str:
    """gunicorn's settings from cores and memory."""
    made: list[tuple[str, dict[str, Any]]] = []
    for machine, _, _ in MACHINES:
        what = f"settings{machine}"
        with called(what):
            chosen = answer(*machine)
        require(isinstance(chosen, dict), got=shown(chosen), expected="a dict of settings", look="return {...}")
        require("workers" in chosen, got="no workers", expected='{"workers": ...}')
        made.append((what, chosen))
    numbers = [chosen["workers"] for _, chosen in made]
    with called(f"settings(...) for {len(made)} machines"):
        constant = all(number == numbers[0] for number in numbers)
    require(
        not constant,
        got=f"workers={shown(numbers[0])} for each",
        expected="as many as the machine bears",
        look="cores and memory_mb are the container's: a constant knows none of it, and os.cpu_count() sees the host",
    )
    for (what, chosen), (_, workers, look) in zip(made, MACHINES, strict=True):
        with called(what):
            read_by_gunicorn(chosen)
        got = f"workers={shown(chosen['workers'])}"
        whole = isinstance(chosen["workers"], int)
        look = look if whole else "gunicorn takes whole numbers: int(...)"
        require(whole and chosen["workers"] == workers, got=got, expected=f"workers={workers}", look=look)
        fits_the_service({**DEFAULTS, **chosen})
    with called(f"settings{TOO_SMALL}"):
        try:
            chosen = answer(*TOO_SMALL)
        except ValueError:
            return "as many workers as cores and memory bear, a connection for each, and none that hangs for long"
    require(
        False,
        got=f"workers={shown(chosen['workers'])}"
        if isinstance(chosen, dict) and "workers" in chosen
        else shown(chosen),
        expected="ValueError: 80 % of 160 MB hold no worker of 150 MB",
        look="what starts and does not fit is killed by the kernel later, under load: refuse to start",
    )
    raise AssertionError


def read_by_gunicorn(chosen: dict[str, Any]) -> None:
    """Lets gunicorn's own configuration read the settings, where it is installed."""
    try:
        config = import_module("gunicorn.config").Config()
    except ImportError:  # Windows has none
        return
    for name, value in chosen.items():
        try:
            config.set(name.lower(), value)  # as it does with each line of gunicorn.conf.py
        except Exception as error:
            if name not in NUMBERS:
                got = f"gunicorn does not take {name}={shown(value)}"
                require(False, got=got, expected="a setting of gunicorn", look=one_line(str(error)))


def fits_the_service(chosen: dict[str, Any]) -> None:
    worker = chosen["worker_class"]
    worker = f"{worker.__module__}.{worker.__qualname__}" if isinstance(worker, type) else str(worker)
    for name in NUMBERS[1:]:
        number = isinstance(chosen[name], int)
        require(number, got=f"{name}={shown(chosen[name])}", expected="a whole number of seconds")
    require(
        not worker.startswith("uvicorn.workers"),
        got=f"worker_class={worker}",
        expected="a worker that is maintained",
        look="uvicorn.workers is deprecated: the package uvicorn-worker has it now, and gunicorn one of its own",
    )
    require(
        worker.startswith(("uvicorn_worker.", "gunicorn.workers.gasgi.")) or worker == "asgi",
        got=f"worker_class={worker}",
        expected="a worker that speaks ASGI",
        look="sync is the default, and speaks WSGI, as gthread does: every request of an ASGI app is a 500",
    )
    require(
        not chosen["preload_app"],
        got="preload_app=True",
        expected="an import in each worker",
        look="the connection made at import is opened once, and after fork() all workers write into this one socket",
    )
    require(
        chosen["timeout"] != 0,
        got="timeout=0",
        expected="1 to 60",
        look="0 is no timeout at all: a worker whose loop hangs stays for ever",
    )
    require(
        0 < chosen["timeout"] <= 60,
        got=f"timeout={chosen['timeout']}",
        expected="1 to 60",
        look="after so many seconds without a sign of life a worker is replaced; slow requests do not count",
    )
    require(
        10 <= chosen["graceful_timeout"] < 30,
        got=f"graceful_timeout={chosen['graceful_timeout']}",
        expected="10 or more, and less than 30",
        look="SIGKILL after less than 10 s cuts a request"
        if chosen["graceful_timeout"] < 10
        else "at 30 s the orchestrator kills all: gunicorn must be done before, and its default is not",
    )
    require(
        chosen["worker_tmp_dir"] == "/dev/shm",
        got=f"worker_tmp_dir={shown(chosen['worker_tmp_dir'])}",
        expected="worker_tmp_dir='/dev/shm'",
        look="each worker's sign of life is a file: on a disk that stalls, a healthy worker looks hung and is killed",
    )
    require(
        chosen["keepalive"] > 60,
        got=f"keepalive={chosen['keepalive']}",
        expected="more than 60",
        look="a request that the proxy sends while gunicorn closes the connection is lost: let the proxy close first",
    )


# 6.3 Proxies

ClientAddress = Callable[[str, str | None, list[str]], str]

PROXIES = ["10.1.0.0/16", "127.0.0.1", "fd00::/8"]
PEER = "only a proxy of yours is believed: anybody can send the header"
LEFT = "what the client sent stands at the left: go from the right"
HOPS = "the first address from the right that is none of your proxies"
BITS = "10.100.0.1 only begins like 10.1.0.0/16: compare addresses, not texts"
SIX = "ip_address and ip_network know both versions"
ODD = "the last who wrote an address is the last you know: stay there"
CHAINS: list[tuple[str, str | None, str, str]] = [
    ("203.0.113.9", None, "203.0.113.9", "without a header it is the peer"),
    ("203.0.113.9", "6.6.6.6", "203.0.113.9", PEER),
    ("10.1.0.7", None, "10.1.0.7", "without a header it is the peer"),
    ("10.1.0.7", "198.51.100.4", "198.51.100.4", "the peer is a proxy of yours, in 10.1.0.0/16: it tells the client"),
    ("127.0.0.1", "198.51.100.4", "198.51.100.4", "the peer is a proxy of yours, 127.0.0.1: it tells the client"),
    ("10.1.0.7", " 198.51.100.4 ", "198.51.100.4", "a space is no part of an address: part.strip()"),
    ("10.1.0.7", "6.6.6.6, 198.51.100.4", "198.51.100.4", LEFT),
    ("10.1.0.7", "127.0.0.1, 198.51.100.4", "198.51.100.4", LEFT),
    ("10.1.0.7", "6.6.6.6, 198.51.100.4, 10.1.0.8", "198.51.100.4", HOPS),
    ("10.1.0.7", "6.6.6.6,198.51.100.4,\t10.1.0.8 ,127.0.0.1", "198.51.100.4", HOPS),
    ("10.100.0.1", "6.6.6.6", "10.100.0.1", BITS),
    ("10.1.0.7", "6.6.6.6, 10.100.0.1", "10.100.0.1", BITS),
    ("fd12::1", "2001:db8::4", "2001:db8::4", SIX),
    ("2001:db8::9", "6.6.6.6", "2001:db8::9", PEER),
    ("fd12::1", "6.6.6.6, 2001:db8::4, 10.1.0.8", "2001:db8::4", SIX),
    ("FD12:0:0::1", "198.51.100.4", "198.51.100.4", SIX),
    ("10.1.0.7", "10.1.0.9, 10.1.0.8", "10.1.0.9", "all are yours: the request came from the first of them"),
    ("10.1.0.7", "999.1.1.1, 198.51.100.4", "198.51.100.4", "what stands left of the client does not matter"),
    ("10.1.0.7", "", "10.1.0.7", ODD),
    ("10.1.0.7", ",", "10.1.0.7", ODD),
    ("10.1.0.7", "unknown", "10.1.0.7", ODD),
    ("10.1.0.7", "6.6.6.6, unknown", "10.1.0.7", "go no further: what stands left of it the client may have written"),
    ("10.1.0.7", "6.6.6.6, unknown, 10.1.0.8", "10.1.0.8", ODD),
    ("10.1.0.7", "1.2.3.4<script>", "10.1.0.7", ODD),
]


@exercise("6.3", seconds=5)
async def whose_address(answer: ClientAddress) -> str:
    """Whose address is it?"""
    for peer, header, expected, look in CHAINS:
        what = f"client_address({peer!r}, {header!r}, {PROXIES})"
        with called(what, (ValueError, look) if look in {SIX, ODD} else None):
            got = answer(peer, header, list(PROXIES))
        look = look if got is None or isinstance(got, str) else "return it as text"
        require(same(got, expected), got=shown(got), expected=repr(expected), look=look)
    with called("client_address('10.1.0.7', '6.6.6.6', []), without any proxy"):
        got = answer("10.1.0.7", "6.6.6.6", [])
    require(same(got, "10.1.0.7"), got=shown(got), expected="'10.1.0.7'", look=PEER)
    return "forged, chained, of both versions or no address at all: whoever your proxies saw, and nobody else"


def same(got: object, expected: str) -> bool:
    """Whether it is that address, however it is written."""
    try:
        return isinstance(got, str) and ip_address(got) == ip_address(expected)
    except ValueError:
        return False


# 6.4 Dockerfile

SECRET = "correct-horse"
SECRETS = re.compile(r"PASSW|SECRET|TOKEN|API_?KEY|CREDENTIAL|PRIVATE", re.IGNORECASE)
FOLDER = [".env", "Dockerfile", "app/__init__.py", "app/main.py", "requirements.txt", "tests/test_main.py"]
MAIN = "app/main.py"
ROOT = {"", "0", "root"}
SHELLS = {"sh", "dash", "ash", "bash"}  # the last gives its place to a single command by itself
INSTRUCTIONS = re.compile(
    "ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|FROM|HEALTHCHECK|LABEL|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR"
)
PIP = re.compile("-[cdfitw]|--(constraint|(extra-)?index-url|find-links|target|prefix|wheel-dir)")  # take a value


@exercise("6.4", seconds=5)
async def fix_a_dockerfile(answer: Callable[[], str]) -> str:
    """Fix a Dockerfile."""
    with called("dockerfile()"):
        text = answer()
    require(isinstance(text, str), got=shown(text), expected="a text", look='return """FROM ..."""')
    image = build(instructions(text))
    runs(image)
    return "built from exact versions, quick to build again, without secrets, and run by one process that is not root"


@dataclass
class Instruction:
    name: str
    flags: list[tuple[str, str]]
    rest: str

    def flag(self, name: str) -> str | None:
        return next((value for flag, value in self.flags if flag == name), None)

    def __str__(self) -> str:
        return one_line(" ".join([self.name, *(f"--{flag}={value}" for flag, value in self.flags), self.rest]), 100)


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile: comments left out, continued lines and here-documents taken in."""
    lines = iter(text.splitlines())
    for line in lines:
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        whole = line
        while whole.rstrip().endswith("\\"):
            following = next(lines, None)
            if following is None or (following.strip() and not following.lstrip().startswith("#")):
                whole = whole.rstrip()[:-1] + (following or "")
        word, rest = (*whole.split(None, 1), "", "")[:2]
        name, rest = word.upper(), rest.strip()
        with called(f"docker build: {one_line(whole, 100)}"):
            known = INSTRUCTIONS.fullmatch(name)
            require(known, got=f"{word} is no instruction", expected="an instruction of a Dockerfile")
        flags: list[tuple[str, str]] = []
        while name != "ENV" and (found := re.match(r"--([a-z-]+)(?:=(\S+))?\s+", rest)):
            flags.append((found[1], found[2] or ""))
            rest = rest[found.end() :]
        if name in {"RUN", "COPY", "ADD"}:
            for mark in re.findall(r"<<-?[\"']?(\w+)", rest):
                for line_of_it in lines:
                    if line_of_it.strip() == mark:
                        break
                    rest += f"\n{line_of_it}"
        yield Instruction(name, flags, rest)


@dataclass
class Stage:
    """What is known of an image while it is built."""

    base: str
    files: dict[str, str] = field(default_factory=dict)  # path in the image: path in the folder
    layers: dict[str, Instruction] = field(default_factory=dict)  # path in the image: what put it into a layer
    variables: dict[str, str] = field(default_factory=dict)
    users: set[str] = field(default_factory=lambda: {"nobody", "www-data"})  # Debian has them
    homes: set[str] = field(default_factory=set)  # the users, by name and number, for whom pip can install
    programs: set[str] = field(default_factory=set)
    changed: bool = False  # whether a change of app/main.py reaches the next instruction
    installed: bool = False
    workdir: str = ""
    user: str = ""
    command: str = ""
    entrypoint: str = ""
    health: Instruction | None = None

    def value(self, text: str) -> str:
        """`text` with the variables in it."""

        def known(found: re.Match[str]) -> str:
            return self.variables.get(found[1] or found[3]) or found[2] or ""

        return re.sub(r"\$(?:\{(\w+)(?::?-([^}]*))?\}|(\w+))", known, text)

    def path(self, text: str) -> str:
        return normpath(join(self.workdir or "/", self.value(text)))


def build(steps: Iterator[Instruction]) -> Stage:
    """The image that the last stage makes."""
    stages: list[Stage] = []
    names: dict[str, Stage] = {}
    before = Stage("")  # the ARGs in front of the first FROM
    for step in steps:
        with called(f"docker build: {step}"):
            require(SECRET not in step.rest, got=f"{SECRET} in the image's history", expected="no secret", look=HISTORY)
            if step.name == "FROM":
                image, *named = before.value(step.rest).split() or [""]
                stage = deepcopy(names[image]) if image in names else based_on(image)
                stages.append(stage)
                names[str(len(stages) - 1)] = stage
                if len(named) == 2:
                    names[named[1]] = stage
            else:
                require(stages or step.name == "ARG", got=f"{step.name} before FROM", expected="FROM first")
                add(step, stages[-1] if stages else before, names)
    with called("docker build"):
        require(stages, got="no FROM", expected="an image to start from")
    return stages[-1]


def based_on(image: str) -> Stage:
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    exact = digest or re.search(r"\d+\.\d+", tag)
    require(
        exact,
        got=f"{image}, which is another one next month",
        expected="a version with its minor number, such as python:3.13-slim, or a digest",
        look="latest, or no tag, is whatever is newest on the day of the build",
    )
    return Stage(image)


def add(step: Instruction, stage: Stage, names: dict[str, Stage]) -> None:
    if step.name in {"ENV", "ARG"}:
        for name, value in variables(step):
            require(
                not SECRETS.search(name) or (step.name == "ENV" and not value),
                got=f"{name} in the image",
                expected="no secret",
                look=HISTORY,
            )
            stage.variables[name] = stage.value(value)
    elif step.name in {"COPY", "ADD"}:
        copy(step, stage, names)
    elif step.name == "RUN":
        run(step, stage)
    elif step.name == "WORKDIR":
        stage.workdir = stage.path(step.rest)
    elif step.name == "USER":
        stage.user = stage.value(step.rest)
    elif step.name == "CMD":
        stage.command = step.rest
    elif step.name == "ENTRYPOINT":
        stage.entrypoint, stage.command = step.rest, ""
    elif step.name == "HEALTHCHECK":
        stage.health = None if step.rest.upper() == "NONE" else step


HISTORY = "docker history shows every ENV, ARG and RUN to whoever has the image: the environment gives it at run time"


def variables(step: Instruction) -> list[tuple[str, str]]:
    words = split(step.rest)
    if step.name == "ENV" and words and "=" not in words[0]:
        return [(words[0], " ".join(words[1:]))]
    return [(name, value) for name, _, value in (word.partition("=") for word in words)]


def split(line: str) -> list[str]:
    """The words of a line, as a shell would read them."""
    try:
        return shlex.split(line)
    except ValueError:  # a quote that is not closed
        return line.split()


def listed(text: str) -> list[str] | None:
    """The words of the exec form, a JSON array of texts, if it is one."""
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def copy(step: Instruction, stage: Stage, names: dict[str, Stage]) -> None:
    words = listed(step.rest) or step.rest.partition("\n")[0].split()
    require(len(words) > 1, got="one path", expected="what to copy, and where to")
    *sources, target = words
    other = step.flag("from")
    if other is not None and other not in names:
        return  # from an image that somebody else made
    there = names[other].files if other is not None else {path: path for path in FOLDER}
    if other is not None:
        stage.installed |= names[other].installed
    kept = [value for flag, value in step.flags if flag == "exclude"]
    place = stage.path(target)
    for source in sources:
        if source.startswith("<<") or "://" in source:
            continue
        source = (
            normpath(stage.value(source)) if other is not None else normpath(stage.value(source).lstrip("/") or ".")
        )
        found = [(path, inside) for path in there if (inside := within(path, source)) is not None]
        found = [(path, inside) for path, inside in found if not any(within(path, one) is not None for one in kept)]
        require(
            found or other is not None,
            got=f"{source} is not in the folder",
            expected=f"one of {', '.join(sorted({path.partition('/')[0] for path in FOLDER}))}",
        )
        folder = target.endswith("/") or target in {".", ".."} or len(sources) > 1 or "*" in source
        folder = folder or place == (stage.workdir or "/") or any(path.startswith(place + "/") for path in stage.files)
        for path, inside in found:
            put = normpath(join(place, inside)) if inside else join(place, basename(path)) if folder else place
            stage.files[put] = there[path]
            stage.layers[put] = step
            stage.changed |= there[path] == MAIN


def within(path: str, pattern: str) -> str | None:
    """Where `path` is inside of what `pattern` names: "" if it is that itself, None if it is not."""
    parts, wanted = path.split("/"), [] if pattern in {".", "/"} else pattern.split("/")
    if len(parts) < len(wanted) or not all(map(fnmatchcase, parts, wanted)):
        return None
    return "/".join(parts[len(wanted) :]).lstrip("/")


def run(step: Instruction, stage: Stage) -> None:
    mounted: set[str] = set()
    for flag, value in step.flags:
        options = dict(pair.partition("=")[::2] for pair in value.split(","))
        if flag == "mount" and options.get("type", "bind") == "bind" and "from" not in options:
            source = normpath(options.get("source") or options.get("src") or ".")
            target = stage.path(options.get("target") or options.get("dst") or "/")
            for path in FOLDER:
                if (inside := within(path, source)) is not None:
                    mounted.add(join(target, inside) if inside else target)
                    stage.changed |= path == MAIN
    words = listed(step.rest)
    script = [" ".join(words)] if words else re.split(r"&&|\|\||[;\n|]", step.rest)
    for command in script:
        arguments = [stage.value(one) for one in split(command)]
        names = [basename(one) for one in arguments]
        if "install" in names and names[names.index("install") - 1] in {"pip", "pip3"}:
            if not re.search(r"venv|\.local|--(user|target|prefix)", stage.variables.get("PATH", "") + command):
                may_write("pip", stage, stage.homes)
            install(arguments[names.index("install") + 1 :], stage, mounted)
        elif tool := next((one for one in ("apt-get", "apt", "apk", "useradd", "adduser") if one in names), ""):
            may_write(tool, stage)
            stage.programs |= set(names)
            stage.users |= set(names) if "user" in tool else set()
            with_home = {"-m", "--create-home"} & set(names) if tool == "useradd" else tool == "adduser"
            stage.homes |= set(names) if with_home and not {"-H", "--no-create-home"} & set(names) else set()
        elif names[:1] == ["rm"]:
            for one in arguments[1:]:
                stage.files.pop(stage.path(one), None)


def may_write(tool: str, stage: Stage, others: Iterable[str] = ()) -> None:
    user = stage.user.partition(":")[0]
    require(
        user in ROOT or user in others,
        got=f"{tool}: Permission denied",
        expected="a step that its user may do",
        look=f"USER {stage.user} holds for every RUN after it as well: put it behind the last of them",
    )


def install(arguments: list[str], stage: Stage, mounted: set[str]) -> None:
    """What `pip install` finds, and when it has to run again."""
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if option in {"-r", "--requirement"}:
            file = stage.path(value if equals else next(words, ""))
            require(
                file in stage.files or file in mounted,
                got=f"no file {file}",
                expected="the file that is to be read",
                look="COPY requirements.txt first: an instruction sees only what those before it have brought",
            )
        elif PIP.fullmatch(option):
            _ = equals or next(words, None)
        elif not word.startswith(("-", ".", "/")):
            require(
                "==" in word or "@" in word,
                got=f"{word}, in whatever version is newest on the day of the build",
                expected="exact versions",
                look="pip install -r requirements.txt, which has them",
            )
    require(
        not stage.changed,
        got="runs again, with every package, when app/main.py changes",
        expected="the layer of the last build",
        look="COPY requirements.txt alone, install, and COPY app after it: what changes least comes first",
    )
    stage.installed = True


def runs(image: Stage) -> None:
    """What happens when a container of the image starts, and stops."""
    with called("the files in the image's layers"):
        for path, step in image.layers.items():
            if basename(path) == ".env":
                deleted = path not in image.files
                require(
                    False,
                    got=f"{path}, by {step}" + (", though a later layer deletes it" if deleted else ""),
                    expected="no .env",
                    look="a layer stays in the image: what must not be there may not be copied"
                    if deleted
                    else "COPY what is needed by its name; a .dockerignore would keep .env out as well",
                )
    command = argv(image)
    with called("docker run"):
        starts(command, image)
        listens(command, image)
    with called("whoami, in the container"):
        runs_as(image)
    with called("docker stop"):
        process_1(command)
    with called("docker ps, a minute later"):
        healthy(image)


def starts(command: list[str], image: Stage) -> None:
    require(image.installed, got="ModuleNotFoundError: No module named 'fastapi'", expected="the packages", look=NONE)
    require(command, got="no command", expected="uvicorn", look='CMD ["uvicorn", "app.main:app", ...]')
    require(image.workdir, got="no WORKDIR", expected="a folder of the app's own", look="WORKDIR /srv")
    told = re.search("--app-dir|--chdir", " ".join(command)) or "PYTHONPATH" in image.variables
    require(
        told or join(image.workdir, MAIN) in image.files,
        got=f"No module named 'app' in {image.workdir}",
        expected=join(image.workdir, MAIN),
        look="COPY app ./app: of a folder, what is in it is copied, not the folder itself",
    )


NONE = "RUN pip install -r requirements.txt, in the stage that runs or in one that it copies from"


def argv(image: Stage) -> list[str]:
    """The command with which a container starts."""
    command = listed(image.command)
    if command is None:
        command = ["/bin/sh", "-c", image.command] if image.command else []
    entry = listed(image.entrypoint)
    if entry is None:
        return ["/bin/sh", "-c", image.entrypoint] if image.entrypoint else command
    return entry + command


def listens(command: list[str], image: Stage) -> None:
    line = " ".join(command)
    shell = basename(command[0]) in SHELLS
    words = (image.value(line) if shell else line).replace("=", " ").split()
    require(
        command[0] != "/bin/sh" or not command[-1].startswith("["),
        got=f"/bin/sh: {' '.join(split(command[-1])[:1])}: not found",
        expected="uvicorn",
        look="the exec form is JSON, with double quotes: anything else is a line for a shell",
    )
    named = {basename(word) for word in words}
    require(
        named & {"uvicorn", "gunicorn", "fastapi", "granian", "hypercorn"} or "app.main" in named,
        got=one_line(" ".join(command)),
        expected="uvicorn app.main:app",
    )
    server = next((one for one in ("gunicorn", "uvicorn") if one in named), "")
    if not server:
        return
    if server == "gunicorn":
        there = f"0.0.0.0:{image.variables['PORT']}" if "PORT" in image.variables else "127.0.0.1"
        bound = option([*image.variables.get("GUNICORN_CMD_ARGS", "").split(), *words], "-b", "--bind", default=there)
        host, _, port = (bound if re.search(r":\d*$", bound) else f"{bound}:8000").rpartition(":")
        hint = "--bind 0.0.0.0:8000"
    else:
        host = option(words, "--host", default=image.variables.get("UVICORN_HOST", "127.0.0.1"))
        port = option(words, "--port", default=image.variables.get("UVICORN_PORT", "8000"))
        hint = "--host 0.0.0.0"
    require(
        host in {"", "0.0.0.0", "::", "[::]"},
        got=f"{server} listens on {host}",
        expected=hint,
        look="127.0.0.1 in a container is the container: nobody outside reaches it",
    )
    require(
        port in {"", "8000"},  # "" is what the environment says at run time
        got=f"{server} listens on port {port}",
        expected="port 8000",
        look="no shell reads a list: nobody puts a value there" if "$" in port else "/live is asked on port 8000",
    )


def option(words: list[str], *names: str, default: str) -> str:
    """The value of one of these options on a command line."""
    return next((value for name, value in pairwise(words) if name in names), default)


def runs_as(image: Stage) -> None:
    user = image.user.partition(":")[0]
    require(
        user not in ROOT,
        got="root",
        expected="a user without rights",
        look="the last USER holds" if image.user else "RUN useradd --system --uid 10001 app, and USER 10001 before CMD",
    )
    require(
        user.isdecimal() or user in image.users,
        got=f"unable to find user {user}: the container does not start",
        expected="a user that the image has",
        look=f"RUN useradd --system {user} before, or a number such as 10001",
    )


def process_1(command: list[str]) -> None:
    program, *arguments = command
    script = arguments[1].strip() if basename(program) in SHELLS - {"bash"} and arguments[1:] else "exec"
    require(
        script.startswith("exec"),
        got=f"SIGTERM for {program} -c, which passes it to nobody; SIGKILL after 10 s",
        expected="SIGTERM for the server",
        look='CMD ["uvicorn", "app.main:app", ...] starts no shell; in a script, exec gives its place to the server',
    )


def healthy(image: Stage) -> None:
    require(
        image.health,
        got="no health",
        expected="healthy, or unhealthy",
        look="HEALTHCHECK CMD [...]: a process that runs may have stopped to answer",
    )
    assert image.health
    test = image.health.rest.removeprefix("CMD").strip()
    words = listed(test) or test.split()
    program = next((tool for tool in ("curl", "wget") if tool in map(basename, words)), "")
    has = image.programs | ({"curl", "wget"} if not re.search("slim|alpine", image.base) else set())
    has |= {"wget"} if "alpine" in image.base else set()
    require(
        not program or program in has,
        got=f"unhealthy: {program}: not found",
        expected="healthy",
        look=f"{image.base} has no {program}: python -c with urllib.request can ask as well",
    )
    require(
        "8000/live" in test,
        got="a test that does not ask the app",
        expected="one that asks http://127.0.0.1:8000/live",
        look="only an answer shows that the event loop still turns",
    )
