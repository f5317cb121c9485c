"""An evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from actd.evaluation.accuracy import Evaluation, Score

_JOINTS = 6
FIRST_HEADER = ("engine", "p99", "max", "executed max", "worst joint")


def render(found: Evaluation) -> Group:
    """Engines beside each other, then their joints that are furthest from the recording."""
    frames = sum(found.frames.values())
    title = f"{frames} frames of {len(found.frames)} episodes, stride {found.stride}"
    rows = [summary_row(found, score) for score in found.scores]
    recorded = _table(
        f"distance from the recorded actions, in std of {found.std_from}",
        ("engine", "L1", "L2", "executed L1", "l1_loss"),
        [row[:5] for row in rows],
    )
    torch = _table(
        "error against torch, in std",
        ("engine", "p99", "max", "executed max", "tolerance"),
        [[row[0], *row[5:]] for row in rows],
    )
    pairs = first_rows(found)
    between = (
        [_table(f"difference from {found.scores[0].candidate.name}, in std", FIRST_HEADER, pairs)]
        if pairs
        else []
    )
    notes = [f"note: {note}" for note in found.notes]
    return Group(title, recorded, torch, *between, _joints(found), *notes)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def summary_row(found: Evaluation, score: Score) -> list[str]:
    """Distances from the recording and errors against torch, in std, as text."""
    distances = (
        score.chunk.l1_std(found.std),
        score.chunk.l2_std(found.std),
        score.executed.l1_std(found.std),
        score.chunk.logged(found.std),
    )
    row = [score.candidate.name, *(f"{value:.4g}" for value in distances)]
    torch, allowed = score.against_torch, score.candidate.tolerance
    if torch is None or allowed is None:
        return [*row, "-", "-", "-", "reference" if allowed is None else "not compared"]
    errors = (torch.chunk.p99_std, torch.chunk.max_std, torch.executed.max_std)
    limits = f"p99 {allowed.p99_std:g}, max {allowed.max_std:g}"
    verdict = "beyond" if torch.excess else "within"
    return [*row, *(f"{value:.2g}" for value in errors), f"{verdict} {limits}"]


def first_rows(found: Evaluation) -> list[list[str]]:
    """How far every other engine is from the first, in std, as text; empty with one engine."""
    compared = [(score, score.against_first) for score in found.scores if score.against_first]
    return [
        [
            score.candidate.name,
            *(f"{value:.2g}" for value in (between.chunk.p99_std, between.chunk.max_std)),
            f"{between.executed.max_std:.2g}",
            found.joints[between.chunk.worst_joint],
        ]
        for score, between in compared
    ]


def _joints(found: Evaluation) -> Table:
    order = sorted(
        range(len(found.joints)),
        key=lambda joint: max(s.executed.l1[joint] / found.std[joint] for s in found.scores),
        reverse=True,
    )
    rows = [
        [
            found.joints[joint],
            f"{found.std[joint]:.3g}",
            *(f"{s.executed.l1[joint]:.3g}" for s in found.scores),
        ]
        for joint in order[:_JOINTS]
    ]
    headings = ["joint", "std", *(score.candidate.name for score in found.scores)]
    return _table("executed L1, physical units, furthest in std first", headings, rows)
