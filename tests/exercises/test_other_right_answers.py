"""Right answers that are built otherwise than the solution: a check that refuses one is wrong itself."""

import asyncio
import contextvars
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import anyio.to_thread
import cloudpickle
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
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


RIGHT = {
    "0.1": [in_a_thread_by_hand, with_the_callers_context, with_anyio, in_a_loop_that_is_stopped],
    "1.1": [App(), on_starlette],
    "1.2": [in_a_task_group, in_the_default_pool, in_a_pool_of_its_own, in_anyio_threads],
    "1.3": [workers, a_queue, a_sliding_window, a_clock, a_capacity_limiter],
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
