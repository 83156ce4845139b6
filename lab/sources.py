"""Displays the real source of a snippet, so that no notebook holds a second copy."""

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import display

from lab.errors import LabError

ROOT = Path(__file__).parent.parent


def show(thing: Any) -> None:
    """Displays the source of a module, class or function of the course, with the file it is in.

    Raises LabError when the thing has no source file: an object, or code typed into a cell.
    """
    try:
        thing = inspect.unwrap(thing)
        source, file = inspect.getsource(thing), Path(inspect.getfile(thing))
        where = file.relative_to(ROOT).as_posix()
    except (TypeError, OSError, ValueError):
        raise LabError("show takes a module, class or function of the course's own files") from None
    if not isinstance(thing, ModuleType):
        where += f", line {inspect.getsourcelines(thing)[1]}"
    source = source.rstrip()
    if get_ipython() is None:
        print(f"{where}\n\n{source}")
        return
    display({"text/plain": f"{where}\n\n{source}", "text/markdown": f"`{where}`\n\n```python\n{source}\n```"}, raw=True)
