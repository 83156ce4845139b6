"""The coroutine is handed on, and nothing has run."""

REFUSED_WITH = "a coroutine, not its result"


def run_anywhere(make_coroutine):
    return make_coroutine()
