"""A task is a promise: the caller is not async and cannot await it."""

import asyncio

REFUSED_WITH = "a Task, not its result"


def run_anywhere(make_coroutine):
    return asyncio.get_running_loop().create_task(make_coroutine())
