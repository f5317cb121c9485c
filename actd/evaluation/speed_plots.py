"""The charts of a benchmark as SVG text: latency histograms and where the time goes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from actd.evaluation.speed import EngineResult, Timing
from actd.report.canvas import STYLE, WIDE_IN, C, canvas, legend, svg

_BINS = 90
_STAGES = (("copy in", "second"), ("run", "first"), ("copy out", "third"))


def timings(rows: Sequence[EngineResult]) -> list[tuple[str, Timing]]:
    """Name and timing of the engines that were timed."""
    return [(row.engine, row.timing) for row in rows if row.timing is not None]


@mpl.rc_context(STYLE)
def histograms(rows: Sequence[EngineResult]) -> str:
    """One strip per engine on a common logarithmic axis, its median and 99th percentile marked."""
    measured = timings(rows)
    all_ms = np.concatenate([np.array(timing.samples_ns) for _, timing in measured]) / 1e6
    edges = np.geomspace(all_ms.min() / 1.1, all_ms.max() * 1.1, _BINS + 1)
    figure = Figure(figsize=(WIDE_IN, 0.55 + 0.62 * len(measured)), layout="constrained")
    strips = figure.subplots(len(measured), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, timing) in zip(strips, measured, strict=True):
        counts, _ = np.histogram(np.array(timing.samples_ns) / 1e6, edges)
        axes.stairs(counts, edges, fill=True, color=C["first"], alpha=0.75)
        for value, dashes in (
            (timing.percentiles.p50_ms, (0, ())),
            (timing.percentiles.p99_ms, (0, (3, 2))),
        ):
            axes.axvline(value, color=C["ink"], linewidth=0.9, linestyle=dashes)
        axes.set(xscale="log", xlim=(edges[0], edges[-1]), ylim=(0, counts.max() * 1.15), yticks=[])
        axes.set_ylabel(name, rotation=0, ha="right", va="center", color=C["ink"])
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="x", which="both", length=0)
    last = strips[-1]
    last.set_xlabel("milliseconds, logarithmic")
    last.set_xticks(_ticks(edges[0], edges[-1]))
    last.xaxis.set_major_formatter("{x:g}")
    last.xaxis.set_minor_formatter(NullFormatter())
    return svg(figure, "latency")


@mpl.rc_context(STYLE)
def stages(rows: Sequence[EngineResult]) -> str:
    """One bar per engine with stage times."""
    stage_times = [
        (name, timing.stages) for name, timing in timings(rows) if timing.stages is not None
    ]
    figure, axes = canvas(WIDE_IN, 0.8 + 0.28 * len(stage_times))
    durations = np.array([(s.copy_in_ms, s.run_ms, s.copy_out_ms) for _, s in stage_times])
    left = np.zeros(len(stage_times))
    for column, (name, colour) in enumerate(_STAGES):
        axes.barh(
            range(len(stage_times)), durations[:, column], 0.66, left, color=C[colour], label=name
        )
        left += durations[:, column]
    axes.set_yticks(range(len(stage_times)), [name for name, _ in stage_times])
    axes.set_ylim(len(stage_times) - 0.4, -1.0)
    axes.set_xlabel("milliseconds")
    axes.grid(visible=False, axis="y")
    legend(axes)
    return svg(figure, "stages")


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of every decade in range; all of 1 to 9 if those are fewer than three."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    for steps in ((1, 2, 5), range(1, 10)):
        ticks = [n * 10.0**e for e in decades for n in steps if low <= n * 10.0**e <= high]
        if len(ticks) >= 3:
            return ticks
    return [float(value) for value in np.geomspace(low, high, 4)]
