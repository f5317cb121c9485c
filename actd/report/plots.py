"""Charts as SVG text, in the colours of the page.

Long signals are drawn as envelopes: no extreme is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.mode import Mode
from actd.report.canvas import HALF_IN, SERIES, STYLE, WIDE_IN, C, canvas, legend, svg
from actd.report.envelope import envelope, spans

# Of several modes within a bin, the last one here stays visible.
_DRIVEN = (Mode.ARMED, Mode.MOVING, Mode.TAKEOVER)
_BY_GRAVITY = (Mode.IDLE, *_DRIVEN, Mode.HOLD, Mode.STOP, Mode.FAULT)


@dataclass(frozen=True, slots=True)
class Line:
    """A signal over time: `y` (n,) at `t` (n,) seconds from the start of the recording."""

    label: str
    t: Vector
    y: Vector


@dataclass(frozen=True, slots=True)
class Clock:
    """The common time axis: every tick's moment (n,) in seconds and mode (n,)."""

    t: Vector
    mode: NDArray[np.uint8]

    @property
    def unit(self) -> tuple[str, float]:
        """The unit to label the axis with, and its length in seconds."""
        total_s = float(self.t[-1] - self.t[0])
        if total_s <= 300:
            return "s", 1.0
        return ("min", 60.0) if total_s <= 3 * 3600 else ("h", 3600.0)


@mpl.rc_context(STYLE)
def histogram(values: Vector, label: str, marks: Mapping[str, float]) -> str:
    """Counts of `values`, logarithmic, with named marks; a wide range has a logarithmic axis."""
    figure, axes = canvas(HALF_IN, 2.5)
    low, high = float(values.min()), float(values.max())
    wide = high > 10 * max(low, 1.0)
    low = max(low, high * 1e-5) if wide else low
    high = max(high * 1.02, low + 1.0)
    edges = np.geomspace(low, high, 61) if wide else np.linspace(low, high, 61)
    counts, _ = np.histogram(np.clip(values, low, high), edges)
    axes.stairs(counts, edges, fill=True, color=C["first"], alpha=0.75)
    axes.set(xscale="log" if wide else "linear", yscale="log", xlabel=label, ylabel="count")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0.7, max(10, counts.max()) * 8)
    middle = np.sqrt(low * high) if wide else (low + high) / 2
    for row, (name, value) in enumerate(marks.items()):
        side = ("right", -3) if value > middle else ("left", 3)
        axes.axvline(max(value, low), color=C["ink"], linewidth=0.8, linestyle=(0, (3, 2)))
        axes.annotate(
            f"{name} {value:.0f}",
            (max(value, low), 0.98 - 0.085 * row),
            xycoords=("data", "axes fraction"),
            xytext=(side[1], 0),
            textcoords="offset points",
            ha=side[0],
            va="top",
            fontsize=8,
            bbox={"facecolor": C["page"], "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
        )
    return svg(figure, "histogram" + label)


@mpl.rc_context(STYLE)
def over_time(
    clock: Clock,
    lines: Sequence[Line],
    label: str,
    limit: float | None = None,
    *,
    log: bool = False,
) -> str:
    """Lines over the whole recording, modes shaded; `limit` is drawn if it is near the values."""
    figure, axes = canvas(WIDE_IN, 2.3)
    _draw(axes, clock, lines)
    axes.set_ylabel(label)
    if log:
        axes.set_yscale("log", nonpositive="mask")
    else:
        axes.set_ylim(bottom=0)
    if limit is not None and limit < 3 * axes.get_ylim()[1]:
        axes.axhline(limit, color=C["bad"], linewidth=0.8, linestyle=(0, (4, 3)))
    if len(lines) > 1:
        legend(axes)
    return svg(figure, "time" + label)


@mpl.rc_context(STYLE)
def joint(  # noqa: PLR0917
    clock: Clock, name: str, unit: str, command: Vector, state: Vector, at_limit: NDArray[np.bool_]
) -> str:
    """One joint, commanded and measured, with a rug where the command is at a limit."""
    figure, axes = canvas(HALF_IN, 1.75)
    lines = [Line("measured", clock.t, state), Line("commanded", clock.t, command)]
    _draw(axes, clock, lines, colours=("second", "first"))
    _shade(axes, clock, at_limit, "bad", height=0.035)
    axes.set_title(f"{name}, {unit}")
    return svg(figure, "joint" + name)


@mpl.rc_context(STYLE)
def timeline(clock: Clock, rows: Mapping[str, NDArray[np.bool_]]) -> str:
    """The mode, and below it one row per condition."""
    figure, axes = canvas(WIDE_IN, 0.75 + 0.22 * (len(rows) + 1))
    for mode in _BY_GRAVITY:
        _bars(axes, clock, clock.mode == mode, 0, mode.name.lower())
    for place, on in enumerate(rows.values(), 1):
        _bars(axes, clock, on, place, "second")
    axes.set_yticks(range(len(rows) + 1), ["mode", *rows])
    axes.set_ylim(len(rows) + 0.6, -0.6)
    axes.grid(visible=False, axis="y")
    _time_axis(axes, clock)
    modes = [mode.name for mode in Mode if (clock.mode == mode).any()]
    handles = [mpl.patches.Patch(color=C[name.lower()], label=name) for name in modes]
    axes.legend(handles=handles, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(modes))
    return svg(figure, "timeline")


def _draw(axes: Axes, clock: Clock, lines: Sequence[Line], colours: Sequence[str] = SERIES) -> None:
    _, second = clock.unit
    for place, line in enumerate(lines):
        t, y = envelope(line.t, line.y)
        colour = C[colours[place % len(colours)]]
        marker = "." if len(line.t) == 1 else ""
        axes.plot(t / second, y, color=colour, label=line.label, marker=marker)
    for mode in _BY_GRAVITY:
        if mode is not Mode.ARMED:
            _shade(axes, clock, clock.mode == mode, mode.name.lower(), alpha=0.16)
    _time_axis(axes, clock)


def _bars(axes: Axes, clock: Clock, on: NDArray[np.bool_], row: int, colour: str) -> None:
    _, second = clock.unit
    bars = [(start / second, length / second) for start, length in spans(clock.t, on)]
    axes.broken_barh(bars, (row - 0.36, 0.72), color=C[colour], linewidth=0)


def _shade(
    axes: Axes,
    clock: Clock,
    on: NDArray[np.bool_],
    colour: str,
    *,
    height: float = 1.0,
    alpha: float = 1.0,
) -> None:
    """Colour the moments that are `on`, from the bottom to `height` of the panel."""
    _, second = clock.unit
    corners = [
        [(x, 0.0), (x, height), (x + width, height), (x + width, 0.0)]
        for x, width in ((a / second, b / second) for a, b in spans(clock.t, on))
    ]
    place = axes.get_xaxis_transform()
    shade = PolyCollection(corners, color=C[colour], alpha=alpha, linewidth=0, transform=place)
    axes.add_collection(shade, autolim=False)


def _time_axis(axes: Axes, clock: Clock) -> None:
    unit, second = clock.unit
    start, end = clock.t[0] / second, clock.t[-1] / second
    axes.set_xlim(start, end if end > start else start + 1)
    axes.set_xlabel(unit)
