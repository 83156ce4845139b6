"""Displays a message: as words that nbval compares, and as HTML for a reader."""

from html import escape
from typing import Literal

from IPython.core.getipython import get_ipython
from IPython.display import display

Kind = Literal["info", "success", "warning", "danger"]


def say(plain: str, html: str = "", kind: Kind = "info") -> None:
    """Displays `plain` as text/plain and `html` (or `plain`, escaped) as a box. Outside of IPython, prints `plain`."""
    if get_ipython() is None:
        print(plain)
        return
    body = html or f"<span style='white-space: pre-wrap'>{escape(plain)}</span>"
    display({"text/plain": plain, "text/html": f'<div class="alert alert-{kind}">{body}</div>'}, raw=True)
