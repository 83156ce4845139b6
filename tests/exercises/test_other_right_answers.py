"""Right answers that are built otherwise than the solution: a check that refuses one is wrong itself."""

import asyncio
import contextvars
import functools
import hashlib
import ipaddress
import json
import logging
import math
import pickle
import re
import secrets
import signal
import sys
import threading
import uuid
import zlib
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Annotated, Any
from urllib.parse import urljoin, urlsplit

import anyio
import anyio.to_thread
import cloudpickle
import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from lab.exercises import run_check

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # as the functions of a notebook are


# 0.1


def in_a_thread_by_hand(make_coroutine: Any) -> Any:
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.extend((True, asyncio.run(make_coroutine())))
        except BaseException as error:
            outcome.extend((False, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    fine, value = outcome
    if not fine:
        raise value
    return value


def with_the_callers_context(make_coroutine: Any) -> Any:
    context = contextvars.copy_context()
    with ThreadPoolExecutor() as pool:
        return pool.submit(context.run, asyncio.run, make_coroutine()).result()


def with_anyio(make_coroutine: Any) -> Any:
    with ThreadPoolExecutor() as pool:
        return pool.submit(anyio.run, make_coroutine).result()


def in_a_loop_that_is_stopped(make_coroutine: Any) -> Any:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        return asyncio.run_coroutine_threadsafe(make_coroutine(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# 1.1


class App:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await getattr(self, scope["type"])(scope, receive, send)

    async def lifespan(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def http(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:  # a polite app reads the body first
            more = (await receive()).get("more_body", False)
        echo = scope["path"].startswith("/echo/")
        body = scope["path"] if echo else "no such path"
        headers = [[b"Content-Type", b"text/plain;charset=UTF-8"], [b"Content-Length", b"%d" % len(body.encode())]]
        await send({"type": "http.response.start", "status": 200 if echo else 404, "headers": headers})
        for letter in body:
            await send({"type": "http.response.body", "body": letter.encode(), "more_body": True})
        await send({"type": "http.response.body"})


async def on_starlette(scope: Any, receive: Any, send: Any) -> None:
    async def echo(request: Any) -> PlainTextResponse:
        return PlainTextResponse(request.scope["path"])

    await Starlette(routes=[Route("/echo/{_:path}", echo, methods=["GET", "POST"])])(scope, receive, send)


# 1.2


async def in_a_task_group(fetch: Any, symbols: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.to_thread(fetch, symbol)) for symbol in symbols]
    return [task.result() for task in tasks]


async def in_the_default_pool(fetch: Any, symbols: Any) -> Any:
    loop = asyncio.get_running_loop()
    futures = [loop.run_in_executor(None, fetch, symbol) for symbol in symbols]
    return [await future for future in futures]


async def in_a_pool_of_its_own(fetch: Any, symbols: Any) -> Any:
    with ThreadPoolExecutor(20) as pool:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(pool, fetch, symbol) for symbol in symbols))


async def in_anyio_threads(fetch: Any, symbols: Any) -> Any:
    results = [None] * len(symbols)

    async def one(place: int, symbol: str) -> None:
        results[place] = await anyio.to_thread.run_sync(fetch, symbol)

    async with anyio.create_task_group() as group:
        for place, symbol in enumerate(symbols):
            group.start_soon(one, place, symbol)
    return results


# 1.3


async def workers(call: Any, numbers: Any, limit: int) -> Any:
    waiting = deque(enumerate(numbers))
    results = [None] * len(waiting)

    async def work() -> None:
        while waiting:
            place, number = waiting.popleft()
            try:
                results[place] = await call(number)
            except Exception as error:
                results[place] = error

    async with asyncio.TaskGroup() as group:
        for _ in range(limit):
            group.create_task(work())
    return results


async def a_queue(call: Any, numbers: Any, limit: int) -> Any:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for item in enumerate(numbers):
        queue.put_nowait(item)
    results = [None] * queue.qsize()

    async def work() -> None:
        while True:
            place, number = await queue.get()
            try:
                results[place] = await call(number)
            except Exception as error:
                results[place] = error
            finally:
                queue.task_done()

    tasks = [asyncio.create_task(work()) for _ in range(limit)]
    try:
        await queue.join()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return results


async def a_sliding_window(call: Any, numbers: Any, limit: int) -> Any:
    tasks: list[Any] = []
    running: set[Any] = set()
    try:
        for number in numbers:
            while len(running) >= limit:
                _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            tasks.append(asyncio.create_task(call(number)))
            running.add(tasks[-1])
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for task in tasks:
            task.cancel()


async def a_clock(call: Any, numbers: Any, limit: int) -> Any:
    in_flight = 0

    async def one(number: int) -> Any:
        nonlocal in_flight
        while in_flight >= limit:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        in_flight += 1
        try:
            return await call(number)
        finally:
            in_flight -= 1

    return await asyncio.gather(*map(one, numbers), return_exceptions=True)


async def a_capacity_limiter(call: Any, numbers: Any, limit: int) -> Any:
    numbers = list(numbers)
    limiter, results = anyio.CapacityLimiter(limit), [None] * len(numbers)

    async def one(place: int, number: int) -> None:
        async with limiter:
            try:
                results[place] = await call(number)
            except Exception as error:
                results[place] = error

    async with anyio.create_task_group() as group:
        for place, number in enumerate(numbers):
            group.start_soon(one, place, number)
    return results


# 3.1


def timing_in_a_closure(app: Any, clock: Any) -> Any:
    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        arrived = clock()

        async def timed(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Server-Timing", f"app;dur={(clock() - arrived) * 1e3}")
            await send(message)

        await app(scope, receive, timed)  # a lifespan and a websocket start no http response

    return middleware


class TimingForOneRequest:
    def __init__(self, app: Any, clock: Any) -> None:
        self.app, self.clock = app, clock

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        responder = send
        if scope["type"] == "http":
            responder = functools.partial(self.send, send, self.clock())
        await self.app(scope, receive, responder)

    async def send(self, send: Any, arrived: float, message: Any) -> None:
        if message["type"] == "http.response.start":
            took = round((self.clock() - arrived) * 1000)
            message["headers"] = [(b"Server-Timing", b"app;dur=%d" % took), *message["headers"]]
        await send(message)


# 3.2


def wrapped_around(app: Any, request_ids: Any, hosts: Any, cors: Any, errors: Any) -> Any:
    return request_ids(hosts(cors(errors(app))))


def in_a_loop(app: Any, *layers: Any) -> None:
    for layer in reversed(layers):
        app.add_middleware(layer)


def ids_around_the_app(app: Any, request_ids: Any, hosts: Any, cors: Any, errors: Any) -> Any:
    for layer in (errors, cors, hosts):
        app.add_middleware(layer)
    return request_ids(app)


# 3.3


def ids_with_base_http_middleware(app: Any, handler: Any) -> Any:
    current: Any = contextvars.ContextVar("current", default=None)

    class Ids(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            id = request.headers.get("x-request-id", "")
            id = id if re.fullmatch(r"[\w.-]{1,64}", id, re.ASCII) else secrets.token_urlsafe(16)
            current.set(id)
            response = await call_next(request)
            response.headers["X-Request-ID"] = id
            return response

    def note(record: Any) -> Any:
        record.request_id = current.get()
        return record

    handler.addFilter(note)
    return Ids(app)


def ids_by_a_record_factory(app: Any, handler: Any) -> Any:
    current: Any = contextvars.ContextVar("current", default="")
    made = logging.getLogRecordFactory()

    def factory(*arguments: Any, **more: Any) -> Any:
        record = made(*arguments, **more)
        record.request_id = current.get()
        return record

    logging.setLogRecordFactory(factory)

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        id = Headers(scope=scope).get("x-request-id", "")
        id = id if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", id) else str(uuid.uuid4())

        async def with_id(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-ID"] = id
            await send(message)

        token = current.set(id)
        try:
            await app(scope, receive, with_id)
        finally:
            current.reset(token)

    return middleware


# 2.1


def a_tuple() -> Any:
    return (
        "the body is read",
        "the token is checked",
        "the session opens",
        "the path is validated",
        "the body is validated",
        "the endpoint runs",
        "the response is validated",
        "the session closes",
        "the response is sent",
        "the background task runs",
    )


# 2.2


def orders(transaction: Any) -> FastAPI:
    app = FastAPI()

    @app.post("/orders")
    async def order(quantity: int, db: Annotated[Any, Depends(transaction, scope="function")]) -> Any:
        await db.insert(quantity)
        if quantity > 50:
            raise HTTPException(409, "not so many")
        return {"ordered": quantity}

    return app


def a_context_manager(connect: Any) -> FastAPI:
    @asynccontextmanager
    async def begin() -> AsyncIterator[Any]:
        db = await connect()
        try:
            try:
                yield db
            except BaseException:
                await db.rollback()
                raise
            else:
                await db.commit()
        finally:
            await db.close()

    async def transaction() -> AsyncIterator[Any]:
        async with begin() as db:
            yield db

    return orders(transaction)


def two_dependencies(connect: Any) -> FastAPI:
    async def session() -> AsyncIterator[Any]:
        db = await connect()
        try:
            yield db
        finally:
            await db.close()

    async def transaction(db: Annotated[Any, Depends(session)]) -> AsyncIterator[Any]:  # closes after the response
        try:
            yield db
        except BaseException:
            await db.rollback()
            raise
        await db.commit()

    return orders(transaction)


def an_exit_stack(connect: Any) -> FastAPI:
    async def transaction() -> AsyncIterator[Any]:
        async with AsyncExitStack() as stack:
            db = await connect()
            stack.push_async_callback(db.close)
            await stack.enter_async_context(undone(db))
            yield db
            await db.commit()

    @asynccontextmanager
    async def undone(db: Any) -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            await db.rollback()
            raise

    return orders(transaction)


# 2.3


class Item(BaseModel):
    name: str
    price: float = Field(gt=0)


CHALLENGE = {"WWW-Authenticate": "Bearer"}


def items(known: Any) -> FastAPI:
    app = FastAPI()

    @app.post("/items")
    async def create(item: Item, user: Annotated[str, Depends(known)]) -> Any:
        return {"by": user, "price": item.price}

    return app


def named(user_of: Any, authorization: str | None) -> str | None:
    scheme, _, token = (authorization or "").partition(" ")
    user: str | None = user_of(token) if scheme.lower() == "bearer" else None
    return user


def asgi_middleware(user_of: Any) -> FastAPI:
    class TokenFirst:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                user = named(user_of, Headers(scope=scope).get("authorization"))
                if user is None:
                    await JSONResponse({"detail": "who are you?"}, 401, CHALLENGE)(scope, receive, send)
                    return
                scope["state"]["user"] = user
            await self.app(scope, receive, send)

    app = items(user_in_state)
    app.add_middleware(TokenFirst)
    return app


def user_in_state(request: Request) -> Any:
    return request.state.user


def http_middleware(user_of: Any) -> FastAPI:
    app = items(user_in_state)

    @app.middleware("http")
    async def token_first(request: Request, call_next: Any) -> Any:
        request.state.user = named(user_of, request.headers.get("authorization"))
        return await call_next(request) if request.state.user else JSONResponse(None, 401, CHALLENGE)

    return app


def own_route(user_of: Any) -> FastAPI:
    class TokenFirst(APIRoute):
        def get_route_handler(self) -> Any:
            handle = super().get_route_handler()

            async def token_first(request: Request) -> Any:
                request.state.user = named(user_of, request.headers.get("authorization"))
                if request.state.user is None:
                    raise HTTPException(401, headers=CHALLENGE)
                return await handle(request)

            return token_first

    app = FastAPI()
    app.router.route_class = TokenFirst

    @app.post("/items")
    async def create(item: Item, user: Annotated[str, Depends(user_in_state)]) -> Any:
        return {"by": user, "price": item.price}

    return app


def in_the_endpoint(user_of: Any) -> FastAPI:
    app = FastAPI()

    @app.post("/items")
    async def create(request: Request) -> Any:
        user = named(user_of, request.headers.get("authorization"))
        if user is None:
            raise HTTPException(401, headers=CHALLENGE)
        try:
            item = Item.model_validate_json(await request.body())
        except ValidationError as error:
            raise HTTPException(422, error.errors(include_url=False, include_input=False)) from None
        return {"by": user, "price": item.price}

    return app


# 2.4


class User(BaseModel):
    name: str
    email: str


class Team(BaseModel):
    lead: User
    members: list[User]


def by_annotation(users: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/users/{name}")
    async def one(name: str) -> User:
        return User.model_validate(users[name])

    @app.get("/users")
    def everyone() -> list[User]:
        return [User(**row) for row in users.values()]

    @app.get("/team")
    async def team() -> Team:
        return Team(lead=users["ada"], members=list(users.values()))

    return app


def by_hand_in_one_place(users: Any) -> FastAPI:
    def seen(row: Any) -> Any:
        return {key: row[key] for key in ("name", "email")}

    app = FastAPI()
    app.get("/users/{name}")(lambda name: seen(users[name]))
    app.get("/users")(lambda: JSONResponse([seen(row) for row in users.values()]))
    app.get("/team")(lambda: {"lead": seen(users["ada"]), "members": [seen(row) for row in users.values()]})
    return app


# 4.1


def with_a_dependency(make_client: Any) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.client = make_client()
        try:
            yield
        finally:
            await app.state.client.aclose()

    async def shared(request: Request) -> Any:
        return request.app.state.client

    app = FastAPI(lifespan=lifespan)

    @app.get("/")
    async def home(client: Annotated[Any, Depends(shared)]) -> Any:
        return (await client.get("http://upstream/price")).json()

    return app


def on_starlette_with_an_exit_stack(make_client: Any) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            yield {"client": await stack.enter_async_context(make_client())}

    async def home(request: Request) -> JSONResponse:
        return JSONResponse((await request.state.client.get("http://upstream/price")).json())

    return Starlette(routes=[Route("/", home)], lifespan=lifespan)


# 4.2


async def with_wait_for(client: Any, method: str, url: str) -> Any:
    try:
        return await asyncio.wait_for(client.request(method, url), 0.9)
    except httpx.PoolTimeout as error:
        raise HTTPException(503, headers={"retry-after": "2"}) from error
    except (TimeoutError, httpx.ReadTimeout, httpx.WriteTimeout) as error:
        raise HTTPException(504) from error
    except httpx.HTTPError as error:
        raise HTTPException(502) from error


async def with_retries_of_a_get(client: Any, method: str, url: str) -> Any:
    attempts = 2 if method == "GET" else 1
    try:
        with anyio.fail_after(1):
            for left in reversed(range(attempts)):
                try:
                    return await client.request(method, url)
                except (httpx.NetworkError, httpx.ProtocolError):
                    if not left:
                        raise
                    await asyncio.sleep(0.05)
    except httpx.PoolTimeout:
        raise HTTPException(503, headers={"Retry-After": "1"}) from None
    except (httpx.TimeoutException, TimeoutError):
        raise HTTPException(504) from None
    except httpx.TransportError:
        raise HTTPException(502) from None


# 4.3


def with_a_background_task(client: Any, url: str) -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def proxy() -> StreamingResponse:
        response = await client.send(client.build_request("GET", url), stream=True)
        return StreamingResponse(
            response.aiter_raw(),
            response.status_code,
            media_type=response.headers["content-type"],
            background=BackgroundTask(response.aclose),
        )

    return app


def with_a_generator(client: Any, url: str) -> FastAPI:
    async def parts(response: Any) -> AsyncIterator[bytes]:
        async with aclosing(response):
            async for part in response.aiter_bytes():
                yield part

    app = FastAPI()

    @app.get("/")
    async def proxy() -> StreamingResponse:
        response = await client.send(client.build_request("GET", url), stream=True)
        if response.is_error:
            await response.aclose()
            raise HTTPException(502)
        return StreamingResponse(parts(response), media_type=response.headers["content-type"])

    return app


def as_pure_asgi(client: Any, url: str) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def until_it_leaves() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

        async with client.stream("GET", url) as response, anyio.create_task_group() as tasks:
            tasks.start_soon(until_it_leaves)
            headers = [(b"content-type", response.headers["content-type"].encode())]
            await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
            async for part in response.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            tasks.cancel_scope.cancel()

    return app


# 5.1


def pickled_with_a_digest(origin: Any, redis: Any, seconds: int) -> Any:
    async def from_cache(*args: Any) -> Any:
        key = hashlib.sha256(repr((origin.__module__, origin.__name__, args)).encode()).hexdigest()
        if stored := await redis.get(key):
            return pickle.loads(stored)
        result = await origin(*args)
        await redis.setex(key, seconds, pickle.dumps(result))
        return result

    return from_cache


def in_an_envelope(origin: Any, redis: Any, seconds: int) -> Any:
    async def from_cache(*args: Any) -> Any:
        key = json.dumps([origin.__qualname__, args])
        envelope = json.loads(await redis.get(key) or "{}")
        if "result" not in envelope:
            envelope["result"] = await origin(*args)
            await redis.set(key, json.dumps(envelope))
            await redis.expire(key, seconds)
        return envelope["result"]

    return from_cache


# 5.2


def somebody_else_takes_over(origin: Any, redis: Any) -> Any:
    flights: dict[str, asyncio.Future[bytes]] = {}

    async def cached(key: str) -> bytes:
        while key in flights:
            await asyncio.wait([flight := flights[key]])
            if not flight.cancelled():
                return flight.result()
        flight = flights[key] = asyncio.get_running_loop().create_future()
        try:
            stored: bytes = await redis.get(key) or await origin(key)
            await redis.set(key, stored, ex=60)
            flight.set_result(stored)
            return stored
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except Exception as error:
            flight.set_exception(error)
            flight.exception()
            raise
        finally:
            del flights[key]

    return cached


def looks_before_it_joins(origin: Any, redis: Any) -> Any:
    flights: dict[str, asyncio.Task[bytes]] = {}

    async def load(key: str) -> bytes:
        try:
            stored: bytes = await redis.get(key) or await origin(key)
            await redis.set(key, stored, ex=60)
            return stored
        finally:
            del flights[key]

    async def cached(key: str) -> Any:
        if (stored := await redis.get(key)) is not None:
            return stored
        if key not in flights:
            flights[key] = asyncio.ensure_future(load(key))
        return await asyncio.shield(flights[key])

    return cached


# 5.3


def never_stored_outside(user_of: Any, account_of: Any, redis: Any) -> FastAPI:
    app = FastAPI()

    @app.get("/account")
    async def account(request: Request, response: Response) -> Any:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or (user := user_of(token)) is None:
            raise HTTPException(401, headers=CHALLENGE)
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "Accept-Encoding, Authorization"
        if stored := await redis.hget("accounts", user):
            return json.loads(stored)
        result = await account_of(user)
        await redis.hset("accounts", user, json.dumps(result))
        return result

    return app


# 5.4


def weak_and_short(body: bytes, if_none_match: Any) -> Response:
    tag = f'"{zlib.crc32(body):08x}"'
    known = (if_none_match or "").strip() == "*" or tag in re.findall(r'"[^"]*"', if_none_match or "")
    headers = {"etag": f"W/{tag}", "vary": "Accept"}
    return Response(b"" if known else body, 304 if known else 200, headers)


# 5.5


class Breaker:
    def __init__(self, origin: Any, redis: Any, clock: Any) -> None:
        self.origin, self.redis, self.clock, self.failed = origin, redis, clock, -math.inf

    async def within(self, command: Any) -> Any:
        try:
            return await asyncio.wait_for(command, 0.2)
        except Exception:
            self.failed = self.clock()
            return None

    async def __call__(self, key: str) -> Any:
        if self.clock() - self.failed <= 5:
            return await self.origin(key)
        if (stored := await self.within(self.redis.get(key))) is None:
            stored = await self.origin(key)
            if self.clock() - self.failed > 5:
                await self.within(self.redis.set(key, stored, ex=60))
        return stored


# 6.1


def raised_again(work: Any, feed: Any, noticed: Any) -> FastAPI:
    leaving, red = asyncio.Event(), [False]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        before, loop = signal.getsignal(signal.SIGTERM), asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []

        async def drain() -> None:
            await noticed()
            leaving.set()
            signal.signal(signal.SIGTERM, before)
            signal.raise_signal(signal.SIGTERM)

        def begin() -> None:
            if not red[0]:
                red[0] = True
                tasks.append(loop.create_task(drain()))

        signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(begin))
        yield
        await asyncio.gather(*tasks)

    app = FastAPI(lifespan=lifespan)

    @app.get("/live")
    def live() -> str:
        return "alive"

    @app.get("/ready")
    def ready(response: Response) -> bool:
        response.status_code = 503 if red[0] else 200
        return not red[0]

    @app.get("/work")
    async def do_work() -> Any:
        return await work()

    @app.get("/feed")
    async def stream() -> StreamingResponse:
        return StreamingResponse(feed(leaving))

    return app


class Drain:
    def __init__(self, work: Any, feed: Any, noticed: Any) -> None:
        self.work, self.feed, self.noticed = work, feed, noticed
        self.leaving, self.task = asyncio.Event(), None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            self.loop, self.stop = asyncio.get_running_loop(), signal.signal(signal.SIGTERM, self.begin)
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/feed":
            await StreamingResponse(self.feed(self.leaving))(scope, receive, send)
        else:
            body = await self.work() if scope["path"] == "/work" else "a probe"
            status = 503 if scope["path"] == "/ready" and self.task else 200
            await PlainTextResponse(body, status)(scope, receive, send)

    def begin(self, *_: Any) -> None:
        self.task = self.task or self.loop.create_task(self.drain())

    async def drain(self) -> None:
        self.leaving.set()  # early: who reads a stream opens it again, elsewhere
        await self.noticed()
        self.stop(signal.SIGTERM, None)


class ClosesThePortFirst(Drain):
    async def drain(self) -> None:
        await self.noticed()
        self.leaving.set()
        for port in self.stop.__self__.servers:
            port.close()
        self.loop.call_later(0.2, self.stop, signal.SIGTERM, None)


# 6.2


def with_uvicorns_worker(cores: float, memory_mb: int, worker_mb: int) -> dict[str, Any]:
    by_memory = math.floor(memory_mb * 8 / 10 / worker_mb)
    if not by_memory:
        raise ValueError
    return {
        "bind": "0.0.0.0:8000",
        "workers": sorted([1, math.floor(cores), by_memory])[1] if cores >= 1 else 1,
        "worker_class": "uvicorn_worker.UvicornWorker",
        "timeout": 45,
        "graceful_timeout": 15,
        "keepalive": 75,
        "preload_app": False,
        "worker_tmp_dir": "/dev/shm",
        "max_requests": 10_000,
        "max_requests_jitter": 1_000,
    }


# 6.3


def first_stranger_from_the_right(peer: str, forwarded_for: str | None, trusted: list[str]) -> str:
    def parsed(text: str) -> Any:
        try:
            return ipaddress.ip_address(text.strip())
        except ValueError:
            return None

    chain = [parsed(part) for part in [*(forwarded_for or "").split(","), peer]][::-1]
    chain = chain[: chain.index(None)] if None in chain else chain
    ours = [any(one in ipaddress.ip_network(network) for network in trusted) for one in chain]
    return str(chain[ours.index(False) if False in ours else -1].exploded)


# 6.4


def in_two_stages() -> str:
    return """
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS packages
RUN python -m venv /opt/venv
ENV PATH="/opt/venv/bin:$PATH"
RUN --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \\
    pip install --no-cache-dir -r /tmp/requirements.txt

FROM python:${PYTHON}-slim
ENV PATH="/opt/venv/bin:$PATH" PYTHONUNBUFFERED=1
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv
COPY --chown=10001 ["app", "./app/"]
USER 10001:10001
HEALTHCHECK CMD python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/live', timeout=3)"
ENTRYPOINT ["uvicorn", "app.main:app"]
CMD ["--host=0.0.0.0", "--port=8000"]
"""


def with_a_shell_that_gives_way() -> str:
    return """
FROM python:3.13.5-alpine
WORKDIR /srv/
COPY requirements.txt ./
RUN <<EOF
adduser -D -H app
pip install -r requirements.txt
EOF
# the source last
COPY app/ app/
USER app
HEALTHCHECK --interval=5s CMD wget -qO- http://127.0.0.1:8000/live
CMD exec uvicorn app.main:app --host 0.0.0.0 --port ${PORT:-8000}
"""


def with_a_home_and_gunicorn() -> str:
    return """
FROM python:3.13-slim@sha256:0123456789abcdef
RUN apt-get update && apt-get install --yes curl && rm -rf /var/lib/apt/lists/* && useradd -m app
USER app
ENV PORT 8000
WORKDIR\t/home/app
COPY requirements.txt ./
RUN pip install -r requirements.txt
COPY app app
HEALTHCHECK CMD curl --fail http://localhost:8000/live || exit 1
CMD exec python -m gunicorn app.main:app -k asgi --bind 0.0.0.0:$PORT
"""


# 7.1


class BearerMiddleware:
    """The whole app is guarded, by digests."""

    def __init__(self, app: Any, tokens: list[str]) -> None:
        self.app = app
        self.digests = {hashlib.sha256(token.encode()).digest() for token in tokens}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hashlib.sha256(token).digest() in self.digests:
            return await self.app(scope, receive, send)
        answer = JSONResponse({}, 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'})
        await answer(scope, receive, send)


def guarded_from_outside(tokens: list[str]) -> Any:
    app = FastAPI()

    @app.get("/account")
    async def account() -> dict[str, str]:
        return {"hello": "caller"}

    return BearerMiddleware(app, tokens)


# 7.2


def with_each_check_by_hand(token: str, keys: Any) -> Any:
    import jwt

    kid = jwt.get_unverified_header(token).get("kid")
    if kid not in keys:
        raise jwt.DecodeError("no such key")
    claims = jwt.decode(token, jwt.PyJWK(keys[kid]).key, algorithms=["EdDSA"], leeway=30, options={"verify_aud": False})
    wanted = {"iss": "https://login.example", "aud": "orders"}
    if not claims.get("sub") or "exp" not in claims or wanted.items() - claims.items():
        raise jwt.InvalidTokenError("not for us")
    return claims


def with_a_set_of_keys(token: str, keys: Any) -> Any:
    import jwt

    known = jwt.PyJWKSet(list(keys.values()))
    try:
        key = known[jwt.get_unverified_header(token)["kid"]]
    except KeyError:
        raise jwt.InvalidKeyError from None
    options = {"require": ["exp", "iss", "aud", "sub"]}
    return jwt.decode(token, key, issuer=["https://login.example"], audience=["orders"], leeway=30, options=options)


# 7.3


def with_a_model_that_forbids(user_of: Any, orders: Any) -> Any:
    class New(BaseModel):
        model_config = ConfigDict(extra="forbid")
        item: str

    app = FastAPI()

    async def user(request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not (found := user_of(token)):
            raise HTTPException(401, headers=CHALLENGE)
        return str(found)

    User = Annotated[str, Depends(user)]

    @app.get("/orders")
    async def mine(user: User) -> Any:
        return [order for order in orders.values() if order["owner"] == user]

    @app.get("/orders/{number}")
    @app.delete("/orders/{number}")
    async def one(request: Request, number: int, user: User) -> Any:
        order = orders.get(number, {})
        if order.get("owner") != user:
            return JSONResponse(f"no order {number}", 404)
        return orders.pop(number) if request.method == "DELETE" else order

    @app.post("/orders", status_code=201)
    async def create(new: New, user: User) -> int:
        number = max(orders, default=0) + 1
        orders[number] = {"owner": user, "item": new.item}
        return int(number)

    return app


# 7.4


async def checks_each_redirect(url: str, resolve: Any, get: Any) -> bytes:
    ports = {"http": 80, "https": 443}
    for _ in range(5):
        parts = urlsplit(url)
        port = parts.port or ports.get(parts.scheme, 0)
        if parts.scheme not in ports or port not in ports.values() or not parts.hostname:
            raise ValueError(url)
        found = [ipaddress.ip_address(one) for one in await resolve(parts.hostname, port)]
        if not found:
            raise ValueError(url)
        for one in found:
            good = one.is_global and not one.is_multicast
            if isinstance(one, ipaddress.IPv6Address):  # a page has an IPv4 address as well
                good = False
            if not good:
                raise ValueError(url)
        status, headers, body = await get(str(found[-1]), port, parts.hostname, parts.path or "/")
        if not 300 <= status < 400:
            return bytes(body)
        url = urljoin(url, headers["location"])
    raise ValueError("too many redirects")


RIGHT = {
    "0.1": [in_a_thread_by_hand, with_the_callers_context, with_anyio, in_a_loop_that_is_stopped],
    "1.1": [App(), on_starlette],
    "1.2": [in_a_task_group, in_the_default_pool, in_a_pool_of_its_own, in_anyio_threads],
    "1.3": [workers, a_queue, a_sliding_window, a_clock, a_capacity_limiter],
    "2.1": [a_tuple],
    "2.2": [a_context_manager, two_dependencies, an_exit_stack],
    "2.3": [asgi_middleware, http_middleware, own_route, in_the_endpoint],
    "2.4": [by_annotation, by_hand_in_one_place],
    "3.1": [timing_in_a_closure, TimingForOneRequest],
    "3.2": [wrapped_around, in_a_loop, ids_around_the_app],
    "3.3": [ids_with_base_http_middleware, ids_by_a_record_factory],
    "4.1": [with_a_dependency, on_starlette_with_an_exit_stack],
    "4.2": [with_wait_for, with_retries_of_a_get],
    "4.3": [with_a_background_task, with_a_generator, as_pure_asgi],
    "5.1": [pickled_with_a_digest, in_an_envelope],
    "5.2": [somebody_else_takes_over, looks_before_it_joins],
    "5.3": [never_stored_outside],
    "5.4": [weak_and_short],
    "5.5": [Breaker],
    "6.1": [raised_again, Drain, ClosesThePortFirst],
    "6.2": [with_uvicorns_worker],
    "6.3": [first_stranger_from_the_right],
    "6.4": [in_two_stages, with_a_shell_that_gives_way, with_a_home_and_gunicorn],
    "7.1": [guarded_from_outside],
    "7.2": [with_each_check_by_hand, with_a_set_of_keys],
    "7.3": [with_a_model_that_forbids],
    "7.4": [checks_each_redirect],
}


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        pytest.param(id, answer, id=f"{id}-{getattr(answer, '__name__', 'class')}")
        for id, answers in RIGHT.items()
        for answer in answers
    ],
)
def test_another_right_answer_passes(id: str, answer: Any) -> None:
    verdict = run_check(id, answer)
    assert verdict.state == "solved", verdict.text
