"""What a benchmark found: rows, the machine, the exit code, and the table for a terminal.

Plain data; cannot fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actd.observe.measure import Tails

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """One engine's result; `status` is `ok`, `failed: why` or `unavailable: why`."""

    engine: str
    status: str
    size_mb: float | None = None
    timing: Tails | None = None
    error: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; what was not measured is None."""
        times = ("p50_ms", "p99_ms", "p999_ms", "max_ms")
        return {
            "engine": self.engine,
            "status": self.status,
            "size_mb": self.size_mb,
            **{name: getattr(self.timing, name, None) for name in times},
            "error": dict(self.error) if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Every row, the machine they were measured on, and what the command should answer."""

    rows: tuple[Row, ...]
    machine: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """0 when every engine that was asked for by name ran and at least one did, else 1."""
        states = [row.status.partition(":")[0] for row in self.rows]
        return 0 if "ok" in states and "failed" not in states else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {"rows": [row.to_dict() for row in self.rows], "machine": dict(self.machine)}

    def table(self) -> Table:
        """The rows for a terminal."""
        return format_table(self)


def format_table(report: BenchReport) -> Table:
    """The report as a rich table, one row per engine."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("engine")
    for column in ("MB", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "error", "fits"):
        table.add_column(column, justify="right")
    table.add_column("status", overflow="fold")
    for row in report.rows:
        data = row.to_dict()
        times = [data[name] for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")]
        error = f"{row.error['max']:.2g} (joint {row.error['worst_joint']})" if row.error else "-"
        fits = f"{int(1000 // row.timing.p99_ms)} Hz" if row.timing else "-"
        size = "-" if row.size_mb is None else f"{row.size_mb:.1f}"
        shown = ["-" if value is None else f"{value:.1f}" for value in times]
        table.add_row(row.engine, size, *shown, error, fits, escape(row.status))
    return table
