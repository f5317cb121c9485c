"""Parity reports as tables for the terminal, worst joints first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from actd.export.frames import frames_text
from actd.export.parity import ParityReport

_JOINTS = 3
_HEADINGS = ("mean", "p99", "max", "p99/std", "max/std")


def render(reports: Sequence[ParityReport]) -> Group:
    """The worst joints of every engine: errors against torch in units of the joint and in std."""
    first = reports[0]
    title = f"error against torch on {frames_text(len(first.chunks), first.frames)}"
    return Group(title, *(_table(parity_report) for parity_report in reports))


def _table(parity_report: ParityReport) -> Table:
    title = f"{parity_report.manifest.engine}: {_judgement(parity_report)}"
    table = Table(
        title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("joint", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    for joint in parity_report.worst_first()[:_JOINTS]:
        error = parity_report.parity.per_joint[joint]
        values = (error.mean, error.p99, error.max, error.p99_std, error.max_std)
        table.add_row(parity_report.joints[joint], *(f"{value:.2g}" for value in values))
    return table


def _judgement(parity_report: ParityReport) -> str:
    """By what the engine was judged, and the heading of the joints."""
    tolerance, added = parity_report.manifest.recipe.tolerance, parity_report.added
    joints = f"worst of {len(parity_report.joints)} joints, allowed in std: "
    if added is not None and tolerance.added_error is not None:
        allowed = f"allowed {100 * tolerance.added_error:g} %"
        return f"{added.text}, {allowed}\n{joints}max {tolerance.max_std:g}"
    fixed = "by fixed limits, for want of recorded actions\n" if tolerance.added_error else ""
    return f"{fixed}{joints}p99 {tolerance.p99_std:g}, max {tolerance.max_std:g}"
