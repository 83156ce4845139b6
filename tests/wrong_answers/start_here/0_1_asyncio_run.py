"""A second loop in a thread that runs one already."""

import asyncio

REFUSED_WITH = "raised RuntimeError: asyncio.run() cannot be called from a running event loop"


def run_anywhere(make_coroutine):
    return asyncio.run(make_coroutine())
