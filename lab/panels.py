"""A panel: a control for each value, a run button, and what the run returns."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.display import clear_output, display
from ipywidgets import HTML, Button, HBox, IntSlider, Output, ToggleButtons, VBox  # type: ignore[import-untyped]

from lab.errors import LabError
from lab.messages import say
from lab.widgets import show_widget

BUSY = "<progress aria-label='running'></progress>"  # without a value the browser draws it moving
STYLE = {"description_width": "9em"}
ROW = {"display": "flex", "align_items": "center"}
WIDE = {"width": "32em", "max_width": "100%"}

# One run at a time in this kernel, or two would measure each other: JupyterLab has clicks handled in a thread of their
# own (a kernel subshell), beside the cells.
_running = threading.Lock()


class Panel:
    """The controls by name, the button, its status, and the output that holds what the last run gave."""

    def __init__(self, run: Callable[..., object], controls: dict[str, Any]) -> None:
        if not callable(run) or not controls:
            raise LabError("play takes a function and its controls, as in play(run, concurrency=(1, 64))")
        self._run = run
        self.controls = {name: _control(name, values) for name, values in controls.items()}
        self.button = Button(description="Run", icon="play", button_style="primary")
        self.status = HTML()
        self.output = Output()
        self.button.on_click(self._pressed)

    def _pressed(self, _: Button) -> None:
        if not _running.acquire(blocking=False):
            return
        try:
            self.button.disabled, self.status.value = True, BUSY  # sent at once, before the run
            with self.output, self._updates_in_status():
                clear_output(wait=True)
                self._run_and_display()
        finally:
            self.button.disabled = False
            if self.status.value == BUSY:
                self.status.value = ""
            _running.release()

    def _run_and_display(self) -> None:
        try:
            shown = self._run(**{name: control.value for name, control in self.controls.items()})
            if shown is not None:
                display(shown)
        except LabError as error:
            say(str(error), kind="danger")
        except (Exception, KeyboardInterrupt) as error:
            say(f"{type(error).__name__}: {error}".splitlines()[0], kind="danger")

    @contextmanager
    def _updates_in_status(self) -> Iterator[None]:
        """Shows beside the button what the run updates in place (load's progress bar): JupyterLab's Output cannot."""

        def divert(message: dict[str, Any]) -> dict[str, Any] | None:
            content = message["content"]
            if "display_id" not in content.get("transient", {}):
                return message
            self.status.value = content["data"].get("text/html", BUSY)
            return None

        publisher: Any = getattr(get_ipython(), "display_pub", None)
        if not hasattr(publisher, "register_hook"):  # outside of a kernel nothing is updated in place
            yield
            return
        publisher.register_hook(divert)
        try:
            yield
        finally:
            publisher.unregister_hook(divert)

    def show(self) -> None:
        """Displays the panel."""
        items = "".join(f"<li>{escape(_words(name, control))}</li>" for name, control in self.controls.items())
        show_widget(
            VBox([*self.controls.values(), HBox([self.button, self.status]), self.output]),
            plain=f"Panel: {', '.join(self.controls)}. Press Run.",
            html=f"<p><b>A panel.</b> Run this cell to set its values and press Run.</p><ul>{items}</ul>",
        )


def play(run: Callable[..., object], **controls: tuple[int, ...] | list[str]) -> None:
    """Displays a panel that calls `run` with the values set in it, and shows what that returns, displays and prints.

    A control is `(low, high)` or `(low, high, start)`, whole numbers, for a slider; or a list of choices for buttons.
    An exception of `run` is one line in the panel. `run` may be called in another thread than the cells.

    Raises LabError when a control is neither.
    """
    Panel(run, controls).show()


def _control(name: str, values: Any) -> IntSlider | ToggleButtons:
    match values:
        case [*choices] if isinstance(values, list) and choices:
            # Not Dropdown: JupyterLab takes the arrow keys for itself, so that a keyboard could not choose.
            return ToggleButtons(description=name, options=choices, style=STYLE | {"button_width": "auto"}, layout=ROW)
        case int(low), int(high):
            start = low
        case int(low), int(high), int(start):
            pass
        case _:
            raise LabError(f"the control {name} is neither (low, high), (low, high, start) nor a list of choices")
    if not low <= start <= high:
        raise LabError(f"the control {name} starts at {start}, which is not from {low} to {high}")
    # The run comes from the button, so the kernel needs no value between the ends of a drag.
    return IntSlider(
        description=name, min=low, max=high, value=start, continuous_update=False, style=STYLE, layout=WIDE
    )


def _words(name: str, control: IntSlider | ToggleButtons) -> str:
    if isinstance(control, IntSlider):
        return f"{name}: from {control.min} to {control.max}"
    return f"{name}: {', '.join(map(str, control.options))}"
