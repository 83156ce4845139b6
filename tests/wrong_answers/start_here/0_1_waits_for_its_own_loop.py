"""Waits, in the loop's thread, for what only that loop can run."""

import asyncio

REFUSED_WITH = "run_anywhere: return asyncio.run_coroutine_threadsafe(make_coroutine(), loop).result()"
SECONDS = 1  # it never ends


def run_anywhere(make_coroutine):
    loop = asyncio.get_running_loop()
    return asyncio.run_coroutine_threadsafe(make_coroutine(), loop).result()
