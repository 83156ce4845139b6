"""Displays a widget, with words that stand in for it where no kernel runs."""

from IPython.core.getipython import get_ipython
from IPython.display import display
from ipywidgets import DOMWidget  # type: ignore[import-untyped]


def show_widget(widget: DOMWidget, plain: str, html: str) -> None:
    """Displays the widget; a notebook that was opened and not yet run shows `html`. Outside of IPython, prints."""
    if get_ipython() is None:
        print(plain)
        return
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    bundle = {"text/plain": plain, "text/html": html, "application/vnd.jupyter.widget-view+json": view}
    display(bundle, raw=True)
