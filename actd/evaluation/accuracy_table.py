"""An evaluation as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from actd.evaluation.accuracy import Evaluation, Score

_JOINTS = 6
FIRST_HEADER = ("engine", "p99", "max", "executed max", "worst joint")


def render(evaluation: Evaluation) -> Group:
    """All engines side by side, then the joints that are furthest from the recording."""
    frames = sum(evaluation.frames.values())
    title = f"{frames} frames of {len(evaluation.frames)} episodes, stride {evaluation.stride}"
    rows = [summary_row(evaluation, score) for score in evaluation.scores]
    recording_table = _table(
        f"distance from the recorded actions, in std of {evaluation.std_from}",
        ("engine", "L1", "L2", "executed L1", "l1_loss"),
        [row[:5] for row in rows],
    )
    torch_table = _table(
        "error against torch, in std",
        ("engine", "p99", "max", "executed max", "tolerance"),
        [[row[0], *row[5:]] for row in rows],
    )
    pairs, first = first_rows(evaluation), evaluation.scores[0].candidate.name
    pair_tables = [_table(f"difference from {first}, in std", FIRST_HEADER, pairs)] if pairs else []
    notes = [f"note: {note}" for note in evaluation.notes]
    return Group(title, recording_table, torch_table, *pair_tables, _joints(evaluation), *notes)


def _table(title: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(headings[0], overflow="fold")
    for heading in headings[1:]:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    return table


def summary_row(evaluation: Evaluation, score: Score) -> list[str]:
    """Distances from the recording and errors against torch, in std, as text."""
    distances = (
        score.chunk.l1_std(evaluation.std),
        score.chunk.l2_std(evaluation.std),
        score.executed.l1_std(evaluation.std),
        score.chunk.lerobot_l1_loss(evaluation.std),
    )
    row = [score.candidate.name, *(f"{value:.4g}" for value in distances)]
    differences, tolerance = score.against_torch, score.candidate.tolerance
    if differences is None or tolerance is None:
        return [*row, "-", "-", "-", "reference" if tolerance is None else "not compared"]
    errors = (differences.chunk.p99_std, differences.chunk.max_std, differences.executed.max_std)
    limits = f"p99 {tolerance.p99_std:g}"
    if (added := differences.added) is not None and tolerance.added_error is not None:
        share = max(0.0, 100 * added.share)
        limits = f"added {share:.1f} of {100 * tolerance.added_error:g} %"
    outcome = "beyond" if differences.excess else "within"
    words = f"{outcome} {limits}, max {tolerance.max_std:g}"
    return [*row, *(f"{value:.2g}" for value in errors), words]


def first_rows(evaluation: Evaluation) -> list[list[str]]:
    """Distance of every other engine from the first, in std, as text; empty for one engine."""
    pairs = [(score, score.against_first) for score in evaluation.scores if score.against_first]
    return [
        [
            score.candidate.name,
            *(f"{value:.2g}" for value in (differences.chunk.p99_std, differences.chunk.max_std)),
            f"{differences.executed.max_std:.2g}",
            evaluation.joints[differences.chunk.worst_joint],
        ]
        for score, differences in pairs
    ]


def _joints(evaluation: Evaluation) -> Table:
    order = sorted(
        range(len(evaluation.joints)),
        key=lambda joint: max(
            s.executed.l1[joint] / evaluation.std[joint] for s in evaluation.scores
        ),
        reverse=True,
    )
    rows = [
        [
            evaluation.joints[joint],
            f"{evaluation.std[joint]:.3g}",
            *(f"{s.executed.l1[joint]:.3g}" for s in evaluation.scores),
        ]
        for joint in order[:_JOINTS]
    ]
    headings = ["joint", "std", *(score.candidate.name for score in evaluation.scores)]
    return _table("executed L1, physical units, furthest in std first", headings, rows)
