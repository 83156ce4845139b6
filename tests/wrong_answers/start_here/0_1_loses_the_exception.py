"""The exception ends the thread, and the caller gets None."""

import asyncio
import threading

REFUSED_WITH = "None, and no exception"


def run_anywhere(make_coroutine):
    results = []

    def run():
        try:
            results.append(asyncio.run(make_coroutine()))
        except Exception:
            results.append(None)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]
