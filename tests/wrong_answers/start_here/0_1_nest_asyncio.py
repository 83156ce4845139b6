"""Patches asyncio for the whole process."""

import asyncio

import nest_asyncio

REFUSED_WITH = "asyncio was patched"


def run_anywhere(make_coroutine):
    nest_asyncio.apply()
    return asyncio.run(make_coroutine())
