"""A question answered before the run, and scored by what the run gives."""

from collections.abc import Sequence
from html import escape

from ipywidgets import HTML, ToggleButtons, VBox  # type: ignore[import-untyped]

from lab.errors import LabError
from lab.messages import say
from lab.widgets import show_widget


class Prediction:
    """The question, its choices, and which of them is selected."""

    def __init__(self, question: str, choices: Sequence[object]) -> None:
        self.question, self.choices = question, [str(choice) for choice in choices]
        if len(self.choices) < 2 or len(set(self.choices)) < len(self.choices):
            raise LabError("predict takes a question and two or more different choices")
        # Not RadioButtons: JupyterLab takes the arrow keys, so that a keyboard would reach the first choice only.
        self.buttons = ToggleButtons(options=self.choices, value=None, style={"button_width": "auto"})
        self.label = HTML(f"<b>{escape(question)}</b>")
        self.buttons.observe(self._say, "value")

    @property
    def guess(self) -> str | None:
        """The choice that is selected now."""
        chosen: str | None = self.buttons.value
        return chosen

    def score(self, actual: object) -> None:
        """Displays what it was, beside what the learner said. `actual` comes from the run, and is compared as str."""
        truth, guess = str(actual), self.guess
        if truth not in self.choices:
            say(f"It was {truth}, which none of the choices says.", kind="warning")
        elif guess is None:
            say(f"It was {truth}. You made no guess.")
        elif guess == truth:
            say(f"It was {truth}, as you said.", kind="success")
        else:
            say(f"It was {truth}. You said {guess}.", kind="warning")

    def _say(self, _: object) -> None:
        """The chosen button differs in shade only; the words do not."""
        self.label.value = f"<b>{escape(self.question)}</b> You say {escape(self.guess or 'nothing')}."

    def show(self) -> None:
        """Displays the question with a button a choice."""
        items = "".join(f"<li>{escape(choice)}</li>" for choice in self.choices)
        show_widget(
            VBox([self.label, self.buttons]),
            plain="\n".join([self.question, *(f"- {choice}" for choice in self.choices)]),
            html=f"<p><b>{escape(self.question)}</b> Run this cell to choose.</p><ul>{items}</ul>",
        )

    def _ipython_display_(self) -> None:
        """Nothing: `predict` has shown it, also when it is the last line of a cell."""


def predict(question: str, choices: Sequence[object]) -> Prediction:
    """Displays the question and its choices; `.score(actual)` of what it returns tells how the guess did.

    Raises LabError when there are not two or more different choices.
    """
    prediction = Prediction(question, choices)
    prediction.show()
    return prediction
