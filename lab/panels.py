"""A panel: a control for each value, a run button, and what the run returns."""

import threading
from collections.abc import Callable
from html import escape
from typing import Any

from IPython.display import clear_output, display
from ipywidgets import HTML, Button, Dropdown, HBox, IntSlider, Output, VBox  # type: ignore[import-untyped]

from lab.errors import LabError
from lab.messages import say
from lab.widgets import show_widget

BUSY = "<progress aria-label='running'></progress>"  # without a value the browser draws it moving
STYLE = {"description_width": "9em"}
WIDE = {"width": "32em", "max_width": "100%"}

# One run at a time in this kernel, or two would measure each other: JupyterLab has clicks handled in a thread of their
# own (a kernel subshell), beside the cells.
_running = threading.Lock()


class Panel:
    """The controls by name, the button, the busy sign, and the output that holds what the last run gave."""

    def __init__(self, run: Callable[..., object], controls: dict[str, Any]) -> None:
        if not callable(run) or not controls:
            raise LabError("play takes a function and its controls, as in play(run, concurrency=(1, 64))")
        self.run = run
        self.controls = {name: _control(name, values) for name, values in controls.items()}
        self.button = Button(description="Run", icon="play", button_style="primary")
        self.busy = HTML()
        self.output = Output()
        self.button.on_click(self._pressed)

    def _pressed(self, _: Button) -> None:
        if not _running.acquire(blocking=False):
            return
        try:
            self.button.disabled, self.busy.value = True, BUSY  # sent at once, before the run
            with self.output:
                clear_output(wait=True)
                self._run_and_display()
        finally:
            self.button.disabled, self.busy.value = False, ""
            _running.release()

    def _run_and_display(self) -> None:
        try:
            shown = self.run(**{name: control.value for name, control in self.controls.items()})
            if shown is not None:
                display(shown)
        except LabError as error:
            say(str(error), kind="danger")
        except (Exception, KeyboardInterrupt) as error:
            say(f"{type(error).__name__}: {error}".splitlines()[0], kind="danger")

    def show(self) -> None:
        """Displays the panel."""
        items = "".join(f"<li>{escape(_words(name, control))}</li>" for name, control in self.controls.items())
        show_widget(
            VBox([*self.controls.values(), HBox([self.button, self.busy]), self.output]),
            plain=f"Panel: {', '.join(self.controls)}. Press Run.",
            html=f"<p><b>A panel.</b> Run this cell to set its values and press Run.</p><ul>{items}</ul>",
        )


def play(run: Callable[..., object], **controls: tuple[int, ...] | list[str]) -> None:
    """Displays a panel that calls `run` with the values set in it, and shows what that returns, displays and prints.

    A control is `(low, high)` or `(low, high, start)`, whole numbers, for a slider; or a list of choices for a menu.
    An exception of `run` is one line in the panel. `run` may be called in another thread than the cells.

    Raises LabError when a control is neither.
    """
    Panel(run, controls).show()


def _control(name: str, values: Any) -> IntSlider | Dropdown:
    match values:
        case [*choices] if isinstance(values, list) and choices:
            return Dropdown(description=name, options=choices, style=STYLE, layout=WIDE)
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


def _words(name: str, control: IntSlider | Dropdown) -> str:
    if isinstance(control, IntSlider):
        return f"{name}: from {control.min} to {control.max}"
    return f"{name}: {', '.join(map(str, control.options))}"
