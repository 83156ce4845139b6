"""Figures that survive in an untrusted notebook, have alt text, and say their message in words too.

A figure is text/html with an <img> of PNG data (JupyterLab strips inline SVG from untrusted notebooks, and gives plain
image/png outputs an empty alt), and text/plain with the title and the caption. No measured number is in the words, so
nbval can compare them.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator, NullFormatter

# The colours of Okabe and Ito, told apart by colour-blind readers as well.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
PAPER, INK = "#f7f7f4", "#222222"  # a light card with dark ink reads well in light and in dark themes
WIDTH = 7.2  # inches; 100 CSS pixels each
SCALE = 2  # image pixels for a CSS pixel

Span = tuple[float, float]  # start and end, in seconds


class Figure:
    """A drawn figure: what a notebook shows for it."""

    def __init__(self, canvas: Canvas, title: str, caption: str, alt: str) -> None:
        self.title, self.caption, self.alt = title, caption, alt
        buffer = io.BytesIO()
        canvas.savefig(buffer, format="png", dpi=100 * SCALE, facecolor=PAPER, pil_kwargs={"optimize": True})
        self.png = buffer.getvalue()
        self.width = round(canvas.get_figwidth() * 100)

    def __repr__(self) -> str:
        return f"Figure: {self.title}\n{self.caption}"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        data = base64.b64encode(self.png).decode()
        image = f'<img alt="{escape(self.alt)}" width="{self.width}" src="data:image/png;base64,{data}">'
        html = f"<figure>{image}<figcaption>{escape(self.caption)}</figcaption></figure>"
        return {"text/plain": repr(self), "text/html": html}


def timelines(arms: Mapping[str, Sequence[Span]], *, title: str, caption: str) -> Figure:
    """One panel an arm, one bar a request from its start to its end, on one time axis."""
    tall = [0.35 + min(len(spans), 60) * 0.035 for spans in arms.values()]
    canvas = Canvas(figsize=(WIDTH, sum(tall) + 1.0), layout="constrained")
    axes = canvas.subplots(len(arms), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": tall})[:, 0]
    for (name, spans), axis, colour in zip(arms.items(), axes, COLOURS, strict=False):
        ordered = sorted(spans)
        origin = ordered[0][0] if ordered else 0.0
        starts = [start - origin for start, _ in ordered]
        axis.barh(range(len(ordered)), [end - start for start, end in ordered], left=starts, height=0.8, color=colour)
        axis.invert_yaxis()
        axis.set_yticks([])
        axis.set_title(f"{name}: {len(ordered)} requests", loc="left", fontsize=10, color=INK)
        _plain(axis)
    axes[-1].set_xlabel("seconds since the first one started")
    canvas.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    alt = f"{title}. A timeline for each of: {'; '.join(arms)}. Each bar is one request, start to end. {caption}"
    return Figure(canvas, title, caption, alt)


def waterfall(
    rows: Sequence[tuple[str, str, float, float]],
    *,
    groups: Sequence[str],
    title: str,
    caption: str,
    since: str = "the client sent the request",
) -> Figure:
    """One row a (name, group, start, end) in seconds: a bar, or a dot for a moment. Each of `groups` has its colour.

    `since` says what happened at 0.
    """
    names = [name for name, _, _, _ in rows]
    colours = dict(zip(groups, COLOURS, strict=False))
    canvas = Canvas(figsize=(WIDTH, 1.2 + 0.2 * len(rows)), layout="constrained")
    axis = canvas.subplots()
    for row, (_, group, start, end) in enumerate(rows):
        if start == end:
            axis.plot(start * 1000, row, "o", markersize=5, color=colours[group])
        else:
            axis.barh(row, (end - start) * 1000, left=start * 1000, height=0.7, color=colours[group])
    axis.set_yticks(range(len(rows)), names, fontsize=9)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlabel(f"milliseconds since {since}")
    axis.grid(axis="x", alpha=0.3)
    drawn = {group for _, group, _, _ in rows}
    keys = [Patch(color=colour, label=group) for group, colour in colours.items() if group in drawn]
    canvas.legend(handles=keys, loc="outside lower center", ncols=len(keys), frameon=False, labelcolor=INK, fontsize=9)
    _plain(axis)
    canvas.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    alt = f"{title}. A waterfall, one row an event: {'; '.join(names)}. {caption}"
    return Figure(canvas, title, caption, alt)


def onion(steps: Sequence[str], *, title: str, caption: str) -> Figure:
    """One row a layer, from its step "NAME in" to its step "NAME out"; any other step is a dot in a row of its own.

    `steps` are in the order in which they happened; a layer without an "out" ends with the last step.
    """
    rows: dict[str, list[int]] = {}
    for place, step in enumerate(steps):
        name, _, way = step.rpartition(" ")
        if way == "out" and name in rows:
            rows[name][1] = place
        else:
            rows[name if way == "in" else step] = [place, len(steps) if way == "in" else place]
    canvas = Canvas(figsize=(WIDTH, 1.0 + 0.36 * len(rows)), layout="constrained")
    axis = canvas.subplots()
    for row, (start, end) in enumerate(rows.values()):
        colour = COLOURS[row % len(COLOURS)]
        if start == end:
            axis.plot(start, row, "o", markersize=9, color=colour)
        else:
            axis.barh(row, end - start, left=start, height=0.62, color=colour)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xticks([])
    axis.set_xlabel("steps, in the order in which they happened")
    _plain(axis)
    canvas.suptitle(title, x=0.01, ha="left", fontsize=12, color=INK)
    alt = f"{title}. A bar for each layer, from its way in to its way out. In order: {'; '.join(steps)}. {caption}"
    return Figure(canvas, title, caption, alt)


def bars(values: Mapping[str, float], *, unit: str, title: str, caption: str) -> Figure:
    """One horizontal bar a name, each with its value."""
    canvas = Canvas(figsize=(WIDTH, 1.0 + 0.36 * len(values)), layout="constrained")
    axis = canvas.subplots()
    drawn = axis.barh(list(values), list(values.values()), height=0.62, color=COLOURS[: len(values)])
    axis.bar_label(drawn, fmt=_short, padding=4, color=INK)
    axis.margins(x=0.12)
    axis.invert_yaxis()
    axis.set_xlabel(unit)
    _plain(axis)
    axis.set_title(title, loc="left", fontsize=12, color=INK)
    alt = f"{title}. A bar for each of: {'; '.join(values)}, in {unit}. {caption}"
    return Figure(canvas, title, caption, alt)


def lines(
    xs: Sequence[float],
    arms: Mapping[str, Sequence[float]],
    *,
    x: str,
    y: str,
    title: str,
    caption: str,
    log: bool = True,
) -> Figure:
    """One line an arm over `xs`; an arm whose name starts with "law" is drawn dashed. `log`: both axes logarithmic."""
    canvas = Canvas(figsize=(WIDTH, 3.2), layout="constrained")
    axis = canvas.subplots()
    for (name, ys), colour, marker in zip(arms.items(), COLOURS, "os^Dv*", strict=False):
        law = name.startswith("law")
        axis.plot(
            xs, ys, "--" if law else "-", marker=None if law else marker, color=INK if law else colour, label=name
        )
    if log:
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xticks(xs, [f"{value:g}" for value in xs], minor=False)
        axis.minorticks_off()
        _tick_in_plain_numbers(axis.yaxis)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, labelcolor=INK)
    _plain(axis)
    axis.set_title(title, loc="left", fontsize=12, color=INK)
    return Figure(canvas, title, caption, f"{title}. Lines of {'; '.join(arms)}: {y} over {x}. {caption}")


def dots(arms: Mapping[str, Sequence[float]], *, title: str, caption: str) -> Figure:
    """One row an arm, one dot a measurement (in seconds), on a logarithmic axis of milliseconds."""
    canvas = Canvas(figsize=(WIDTH, 1.0 + 0.45 * len(arms)), layout="constrained")
    axis = canvas.subplots()
    for row, ((name, seconds), colour) in enumerate(zip(arms.items(), COLOURS, strict=False)):
        ordered = sorted(value * 1000 for value in seconds)
        spread = [row + ((index * 7) % 11 - 5) / 22 for index in range(len(ordered))]
        axis.plot(ordered, spread, "o", markersize=3.5, alpha=0.45, color=colour, label=name)
        if ordered:
            axis.plot([ordered[len(ordered) // 2]] * 2, [row - 0.38, row + 0.38], color=INK, linewidth=2)
    axis.set_yticks(range(len(arms)), list(arms))
    axis.invert_yaxis()
    axis.set_xscale("log")
    _tick_in_plain_numbers(axis.xaxis)
    axis.set_xlabel("milliseconds, on a logarithmic axis; the bar is the median")
    axis.grid(axis="x", alpha=0.3)
    _plain(axis)
    axis.set_title(title, loc="left", fontsize=12, color=INK)
    alt = (
        f"{title}. A row of dots for each of: {'; '.join(arms)}. Each dot is one measurement in milliseconds. {caption}"
    )
    return Figure(canvas, title, caption, alt)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _tick_in_plain_numbers(axis: Axis) -> None:
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def _plain(axis: Axes) -> None:
    axis.set_facecolor(PAPER)
    axis.tick_params(colors=INK)
    axis.xaxis.label.set_color(INK)
    axis.yaxis.label.set_color(INK)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
