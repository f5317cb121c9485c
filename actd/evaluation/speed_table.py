"""The benchmark for a terminal. Cannot fail."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from actd.evaluation import speed_cells
from actd.evaluation.speed import BenchReport


def tables(report: BenchReport) -> RenderableType:
    """Tables of speed and error, of cost, and of inference at a fixed rate."""
    measured = [row for row in report.rows if row.timing]
    parts: list[RenderableType] = []
    if measured:
        parts += [_table(speed_cells.SPEED, [speed_cells.speed(row) for row in measured]), ""]
        parts += [_table(speed_cells.COST, [speed_cells.cost(row) for row in measured]), ""]
    if any(row.timing and row.timing.cadence for row in measured):
        parts += [_table(speed_cells.CADENCE, [speed_cells.cadence(row) for row in measured]), ""]
    parts += [Text(f"{row.engine} {row.status}") for row in report.rows if row.state != "ok"]
    return Group(*parts, report.method)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in header:
        table.add_column(name, justify="left" if name == "engine" else "right", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
