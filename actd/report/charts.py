"""Charts of figures rather than of time: curves by index, bars and ranges per joint, tails.

Takes named numpy arrays, returns SVG text in the page's colours. Values that are not finite are
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np

from actd.arrays import Vector
from actd.report.canvas import HALF_IN, STYLE, WIDE_IN, C, canvas, legend, svg

_COLOURS = ("first", "second", "third", "stop", "hold", "muted")
_TAIL = 0.9
_DASHES: tuple[Any, ...] = ("solid", (0, (5, 3)), (0, (2, 2)))


@dataclass(frozen=True, slots=True)
class Ranges:
    """Three figures of each of several things, such as mean, p99 and max; each (n,)."""

    low: Vector
    middle: Vector
    high: Vector
    names: tuple[str, str, str] = ("mean", "p99", "max")


@mpl.rc_context(STYLE)
def curves(
    series: Mapping[str, Vector],
    x_label: str,
    y_label: str,
    *,
    beneath: Mapping[str, Vector] | None = None,
    title: str = "",
    wide: bool = True,
    from_zero: bool = True,
) -> str:
    """Lines over their own index; `beneath` are drawn wide and pale under the others."""
    figure, axes = canvas(*((WIDE_IN, 2.6) if wide else (HALF_IN, 2.1)))
    for name, values in (beneath or {}).items():
        axes.plot(_finite(values), label=name, color=C["ink"], linewidth=3.0, alpha=0.3)
    for place, (name, values) in enumerate(series.items()):
        marker = "." if len(values) == 1 else ""
        axes.plot(_finite(values), label=name, marker=marker, **_look(place))
    if from_zero:
        axes.set_ylim(bottom=0)
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    axes.yaxis.set_major_formatter("{x:g}")  # a common factor would stand where the title is
    axes.margins(x=0.01)
    if len(series) + len(beneath or {}) > 1:
        if wide:
            legend(axes)
        else:
            figure.legend(loc="outside lower center", ncols=4)
    return svg(figure, "curves" + x_label + y_label + title)


@mpl.rc_context(STYLE)
def ranges(
    names: Sequence[str], spread: Ranges, label: str, limits: Mapping[str, float] | None = None
) -> str:
    """One row per name: a line from its low to its high figure, logarithmic."""
    figure, axes = canvas(WIDE_IN, 0.9 + 0.24 * len(names))
    rows = np.arange(len(names))
    columns = [np.asarray(v, dtype=np.float64) for v in (spread.low, spread.middle, spread.high)]
    positive = np.concatenate([c[np.isfinite(c) & (c > 0)] for c in columns])
    floor = float(positive.min()) * 0.7 if positive.size else 1e-9
    low, middle, high = (np.clip(np.nan_to_num(c, posinf=np.nan), floor, None) for c in columns)
    axes.hlines(rows, low, high, color=C["line"], linewidth=4.0)
    looks = (("first", "o", 4.0), ("second", "D", 3.6), ("bad", "|", 9.0))
    for name, values, (colour, marker, size) in zip(
        spread.names, (low, middle, high), looks, strict=True
    ):
        axes.plot(
            values, rows, marker, color=C[colour], markersize=size, label=name, linestyle="none"
        )
    for row, (name, value) in enumerate((limits or {}).items()):
        axes.axvline(value, color=C["bad"], linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            name,
            (value, 0.0),
            xycoords=("data", "axes fraction"),
            xytext=(-3, 3 + 10 * row),
            textcoords="offset points",
            ha="right",
            fontsize=8,
        )
    axes.set_yticks(rows, list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set(xscale="log", xlabel=label)
    axes.grid(visible=False, axis="y")
    legend(axes)
    return svg(figure, "ranges" + label)


@mpl.rc_context(STYLE)
def bars(names: Sequence[str], series: Mapping[str, Vector], label: str) -> str:
    """One group of horizontal bars per name, one bar per series."""
    thickness = 0.8 / max(1, len(series))
    figure, axes = canvas(WIDE_IN, 0.8 + max(0.24, 0.11 * len(series)) * len(names))
    rows = np.arange(len(names))
    for place, (name, values) in enumerate(series.items()):
        lengths = np.where(np.isfinite(values), values, 0.0)
        offset = (place - (len(series) - 1) / 2) * thickness
        colour = C[_COLOURS[place % len(_COLOURS)]]
        axes.barh(rows + offset, lengths, thickness * 0.9, color=colour, label=name)
    axes.set_yticks(rows, list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(label)
    axes.grid(visible=False, axis="y")
    if len(series) > 1:
        legend(axes)
    return svg(figure, "bars" + label)


@mpl.rc_context(STYLE)
def tail(series: Mapping[str, tuple[Vector, Vector]], label: str) -> str:
    """Share of values larger than x: per series the ascending values and shares, both (n,)."""
    figure, axes = canvas(WIDE_IN, 2.8)
    for place, (name, (values, share)) in enumerate(series.items()):
        # the smallest values would stretch the axis over many empty decades
        visible = np.isfinite(values) & (values > 0) & (share <= _TAIL)
        axes.plot(values[visible], 100 * share[visible], label=name, **_look(place))
    axes.set(xscale="log", yscale="log", xlabel=label, ylabel="share of values beyond, %")
    axes.yaxis.set_major_formatter("{x:g}")
    legend(axes)
    return svg(figure, "tail" + label)


def _finite(values: Vector) -> Vector:
    """The vector with NaN for every value that is not finite."""
    return np.where(np.isfinite(values), values, np.nan)


def _look(place: int) -> dict[str, Any]:
    """Colour and dashes of the series at `place`; lines that coincide all stay visible."""
    return {
        "color": C[_COLOURS[place % len(_COLOURS)]],
        "linestyle": _DASHES[place % len(_DASHES)],
        "linewidth": 1.1,
    }
