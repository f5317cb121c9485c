"""An engine comparison as tables for people."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Group
from rich.table import Table

from actd.replay.engines import Comparison, Vector


def render(found: Comparison) -> Group:
    """Differences per joint, and how they grow along the chunk."""
    title = (
        f"{found.samples} observations, {found.consecutive} consecutive ones, of "
        f"{len(found.episodes)} episodes\nA {found.engines[0]}\nB {found.engines[1]}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("joint")
    for heading in ("|A-B| mean", "p99", "max", "max/std", "ensembled", "A to rec.", "B to rec."):
        table.add_column(heading, justify="right")
    for row in _rows(found):
        table.add_row(*row)
    steps = Table(title="mean |A-B| along the chunk, in joint std", title_justify="left")
    last = len(found.by_step) - 1
    chosen = sorted({round(last * share) for share in (0, 0.1, 0.25, 0.5, 0.75, 1)})
    for step in chosen:
        steps.add_column(f"step {step}", justify="right")
    steps.add_row(*[f"{found.by_step[step]:.2g}" for step in chosen])
    return Group(table, steps)


def _rows(found: Comparison) -> Iterator[list[str]]:
    columns: tuple[Vector, ...] = (
        *found.chunk,
        found.chunk.max / found.joint_std,
        found.ensembled.max,
        *found.recorded,
    )
    for joint, name in enumerate(found.joints):
        yield [name, *("-" if np.isnan(c[joint]) else f"{c[joint]:.3g}" for c in columns)]
