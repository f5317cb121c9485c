"""The benchmark as one self-contained HTML page. Cannot fail on a report with rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from actd.evaluation import speed_cells, speed_plots
from actd.evaluation.speed import BenchReport, EngineResult
from actd.report.page import Figure, PageSection, Table, page


def bench_page(report: BenchReport) -> str:
    """The whole page as HTML text."""
    measured = [row for row in report.rows if row.timing]
    return page("actd bench", _lead(measured, report.method), list(_sections(report, measured)))


def _lead(measured: list[EngineResult], method: str) -> str:
    if not measured:
        return "No engine ran."
    medians = {row.engine: row.timing.percentiles.p50_ms for row in measured if row.timing}
    fastest = min(medians, key=lambda name: medians[name])
    lead = f"Fastest: {fastest}, {medians[fastest]:.1f} ms at the median"
    if "torch" in medians and fastest != "torch":
        lead += f", {medians['torch'] / medians[fastest]:.1f} times as fast as torch"
    return f"{lead}. {method[0].upper()}{method[1:]}."


def _sections(report: BenchReport, measured: list[EngineResult]) -> Iterator[PageSection]:
    speed = Table([speed_cells.speed(row) for row in measured], speed_cells.SPEED)
    if measured:
        yield PageSection("Speed and error", [speed], _SPEED_NOTE)
        yield PageSection("Latency", [Figure(speed_plots.histograms(measured), _STRIPS)])
        yield PageSection("Cost and stages", list(_cost(measured)), _COST_NOTE)
    if any(row.timing and row.timing.cadence for row in measured):
        pacing = Table([speed_cells.cadence(row) for row in measured], speed_cells.CADENCE)
        yield PageSection("At the rate", [pacing], _CADENCE_NOTE)
    if failures := [(row.engine, row.status) for row in report.rows if row.state != "ok"]:
        yield PageSection("Failed or unavailable", [Table(failures, numeric=False)])
    yield PageSection("Machine", [Table(list(_facts(report.machine)), numeric=False)])


def _cost(measured: list[EngineResult]) -> Iterator[Table | Figure]:
    yield Table([speed_cells.cost(row) for row in measured], speed_cells.COST)
    if any(row.timing and row.timing.stages for row in measured):
        yield Figure(speed_plots.stages(measured), "Medians of the stages of an inference.")


def _facts(machine: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in machine.items():
        if isinstance(value, Mapping):
            yield from _facts(value)
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield name.replace("_", " "), speed_cells.NONE if text in (None, "") else str(text)


_SPEED_NOTE = (
    "Milliseconds from an observation in host memory to actions in host memory. "
    "“fits” is the rate that the 99th percentile allows. The error is the worst joint's largest "
    "against torch in float32, in physical units, on the engine's reference observations."
)
_STRIPS = "How often each duration occurred. Solid line: median; dashed: 99th percentile."
_COST_NOTE = (
    "Load is the time from nothing loaded to the first chunk, in a fresh process with warm "
    "caches; RAM is how much that process grew. Torch itself reports no stages."
)
_CADENCE_NOTE = (
    "Missed: periods in which no inference began because one was still running. Between "
    "inferences the processor idles and its caches are evicted; back to back they stay warm."
)
