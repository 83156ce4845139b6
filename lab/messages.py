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
    # The boxes are light in JupyterLab's dark theme too, where its text has less contrast than 4.5 to 1.
    html = f'<div class="alert alert-{kind}" style="color: #222">{body}</div>'
    display({"text/plain": plain, "text/html": html}, raw=True)
