"""A loop in the background that nothing stops."""

import asyncio
import threading

REFUSED_WITH = "left behind"


def run_anywhere(make_coroutine):
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return asyncio.run_coroutine_threadsafe(make_coroutine(), loop).result()
