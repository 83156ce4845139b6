"""The thread runs it, and nobody waits for the result."""

import asyncio
import threading

REFUSED_WITH = "a thread hands nothing back by itself"


def run_anywhere(make_coroutine):
    threading.Thread(target=lambda: asyncio.run(make_coroutine())).start()
