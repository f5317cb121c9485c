"""The common base of all charts: the page's colours, one style, and SVG output.

matplotlib draws with stand-in colours that become the page's CSS variables, so that one figure
serves light and dark.
"""

from __future__ import annotations

import io
import re
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from actd.mode import Mode

_MODES = (mode.name.lower() for mode in Mode)
_COLOURS = ("page", "ink", "muted", "line", "first", "second", "third", "bad", *_MODES)
# None of them is black, which matplotlib writes where no colour is set.
C = {name: f"#0000{number:02x}" for number, name in enumerate(_COLOURS, 1)}
SERIES = ("first", "second", "third", "muted")

WIDE_IN, HALF_IN = 11.0, 5.4

STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "text.color": C["ink"],
    "axes.labelcolor": C["muted"],
    "axes.edgecolor": C["line"],
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9.0,
    "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,
    "grid.color": C["line"],
    "grid.linewidth": 0.5,
    "xtick.color": C["muted"],
    "ytick.color": C["muted"],
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "path.simplify": False,
    "lines.linewidth": 0.9,
}


def canvas(width_in: float, height_in: float) -> tuple[Figure, Axes]:
    """A figure with one panel."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, figure.add_subplot()


def legend(axes: Axes) -> None:
    """Name the series above the panel, on the right."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=6, borderaxespad=0.2)


def svg(figure: Figure, salt: str) -> str:
    """The SVG element alone. Identifiers come from `salt`: figures of one page must not share."""
    text = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": salt}):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    element = text.getvalue()
    element = element[element.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    # A hundredth of a point is finer than any screen; half of the file is digits beyond it.
    # Only inside of tags: a label such as 0.005 keeps all of its digits.
    element = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\.\d\d)\d+", r"\1", tag[0]), element)
    for name, colour in C.items():
        element = element.replace(colour, f"var(--{name})")
    return element
