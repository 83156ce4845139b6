"""Carries an answer, by value, to the checker's process."""

import dis
import io
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import cloudpickle  # type: ignore[import-untyped]

# In a class body a name may be one of the class or a global: Python 3.11 to 3.14 say so with these.
IN_CLASSES = {"LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}


class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
    """cloudpickle, which takes the globals of a function along, but not those of a class that is made inside it."""

    def reducer_override(self, obj: Any) -> Any:
        reduced = super().reducer_override(obj)
        if isinstance(obj, FunctionType) and isinstance(reduced, tuple):  # not by its name
            _, slots = reduced[2]
            used = {name: obj.__globals__[name] for name in names(obj.__code__) if name in obj.__globals__}
            slots["__globals__"] = used | slots["__globals__"]
        return reduced


def names(code: CodeType) -> Iterator[str]:
    """The names that class bodies in `code` may take from the globals."""
    yield from (one.argval for one in dis.get_instructions(code) if one.opname in IN_CLASSES)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names(constant)


def dumps(answer: object) -> bytes:
    """The pickled answer. Raises what pickling raises where something in it cannot leave this process."""
    with io.BytesIO() as file:
        Pickler(file).dump(answer)
        return file.getvalue()
