"""Mistakes of use, told in one line."""


class LabError(Exception):
    """A mistake of use, or a limit of the machine. A notebook shows its one line, not a traceback."""

    def _render_traceback_(self) -> list[str]:  # IPython's hook, see InteractiveShell.showtraceback
        return [f"{type(self).__name__}: {self}"]
