"""Which protocol an app speaks, told without calling it."""

import functools
import inspect
from typing import Any, Literal

from lab.errors import LabError

FORMS = "an ASGI app is `async def app(scope, receive, send)`, a WSGI app is `def app(environ, start_response)`"


def protocol_of(app: Any) -> Literal["asgi", "wsgi"]:
    """Functions, instances with `__call__` and partials of either. Raises LabError, one line, for anything else."""
    name = getattr(app, "__name__", type(app).__name__)
    if not callable(app):
        raise LabError(f"{name} is not an app, it cannot be called: {FORMS}")
    if inspect.isclass(app) and not hasattr(app, "__await__"):
        raise LabError(f"{name} is a class: pass an instance, {name}(…)")
    if inspect.isclass(app) or _is_async(app):
        if _takes(app, 3):
            return "asgi"
    elif _takes(app, 3) and _takes(app, 2):
        raise LabError(f"{name} takes any arguments, so its protocol cannot be told: {FORMS}")
    elif _takes(app, 3):
        raise LabError(f"{name} takes three parameters but is not async: {FORMS}")
    elif _takes(app, 2):
        return "wsgi"
    raise LabError(f"{name} takes the wrong number of parameters: {FORMS}")


def _is_async(app: Any) -> bool:
    while isinstance(app, functools.partial):
        app = app.func
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__)


def _takes(app: Any, parameters: int) -> bool:
    try:
        inspect.signature(app).bind(*range(parameters))
    except (TypeError, ValueError):  # ValueError: a builtin that tells no signature
        return False
    return True
