"""The laboratory: what a notebook imports to serve, load, observe, show and check.

Names are looked up on first use, so that `python -m lab doctor` runs where a package is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lab.charts import bars as bars
    from lab.charts import dots as dots
    from lab.charts import lines as lines
    from lab.charts import onion as onion
    from lab.charts import timelines as timelines
    from lab.claims import claim as claim
    from lab.exercises import check as check
    from lab.exercises import hint as hint
    from lab.exercises import progress as progress
    from lab.exercises import todo as todo
    from lab.launching import launch as launch
    from lab.loading import load as load
    from lab.observing import observe as observe
    from lab.panels import play as play
    from lab.predictions import predict as predict
    from lab.serving import serve as serve
    from lab.sources import show as show
    from lab.tracing import trace as trace

_HOME = {
    "bars": "charts",
    "check": "exercises",
    "claim": "claims",
    "dots": "charts",
    "hint": "exercises",
    "launch": "launching",
    "lines": "charts",
    "load": "loading",
    "observe": "observing",
    "onion": "charts",
    "play": "panels",
    "predict": "predictions",
    "progress": "exercises",
    "serve": "serving",
    "show": "sources",
    "timelines": "charts",
    "todo": "exercises",
    "trace": "tracing",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'lab' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"lab.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
