"""The page about an evaluation: engines beside each other, beside torch, beside the recording.

Takes an Evaluation, gives HTML text. Needs jinja2 and matplotlib (`actd[report]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from actd.engine.candidate import TORCH
from actd.evaluation.accuracy import Evaluation
from actd.evaluation.accuracy_table import FIRST_HEADER, first_rows, summary_row
from actd.report import charts
from actd.report.page import Figure, Section, Table, page

_MOST_DRAWN = 16
_HEADER = (
    "engine",
    "L1 / std",
    "L2 / std²",
    "executed L1 / std",
    "l1_loss",
    "vs torch p99 / std",
    "max / std",
    "executed max / std",
    "tolerance",
)


def evaluation_page(found: Evaluation, machine: Mapping[str, Any]) -> str:
    """The whole page as HTML text; `machine` is what the figures were taken on."""
    off = [score.executed.l1_std(found.std) for score in found.scores]
    compared = {s.candidate.name: s.against_torch for s in found.scores if s.against_torch}
    beyond = [label for label, against in compared.items() if against.excess]
    frames, episodes = sum(found.frames.values()), len(found.frames)
    lead = (
        f"{frames} frames of {episodes} episodes, every {_nth(found.stride)}. As the arm would "
        f"execute them, actions are {min(off):.3g} to {max(off):.3g} standard deviations of a "
        "joint from the recorded ones on average. "
    )
    if compared:
        verdict = f"beyond its tolerance: {', '.join(beyond)}" if beyond else "all within tolerance"
        lead += f"Against torch: {verdict}."
    sections = [_summary(found), _per_joint(found), _along(found), _episode(found)]
    if compared:
        sections.insert(1, _torch(found))
    name = found.dataset.rstrip("/").rsplit("/", maxsplit=1)[-1]
    return page(f"Evaluation on {name}", lead, [*sections, _origin(found, machine)])


def _summary(found: Evaluation) -> Section:
    note = (
        "L1 and L2 are means over joints and steps of |a - â| and (a - â)², the recorded "
        "action less the predicted one; steps beyond the end of an episode do not count. "
        f"Each joint is divided by its standard deviation, that of {found.std_from}. "
        "l1_loss is what LeRobot logs up to its #3442: the same with padded steps as zeros. "
        "Executed is the temporal ensemble, tick by tick. The tolerance is the recipe's."
    )
    parts = [Table([summary_row(found, score) for score in found.scores], _HEADER)]
    if pairs := first_rows(found):
        title = f"difference from {found.scores[0].candidate.name}, in std"
        parts.append(Table(pairs, FIRST_HEADER, title=title))
    if found.notes:
        parts.append(Table([[text] for text in found.notes], ["note"], numeric=False))
    return Section("Engines", parts, note)


def _torch(found: Evaluation) -> Section:
    compared = [(s, s.against_torch) for s in found.scores if s.against_torch is not None]
    percentiles = {score.candidate.name: against.tail for score, against in compared}
    labels = [score.candidate.name for score, _ in compared]
    rows = [
        [
            joint,
            *(f"{against.chunk.per_joint[place].p99:.3g}" for _, against in compared),
            *(f"{against.chunk.per_joint[place].max:.3g}" for _, against in compared),
        ]
        for place, joint in enumerate(found.joints)
    ]
    header = [
        "joint",
        *(f"{label}, p99" for label in labels),
        *(f"{label}, max" for label in labels),
    ]
    return Section(
        "Error against torch",
        [
            Figure(
                charts.tail(percentiles, "error against torch, in the joint's standard deviations"),
                "How many of all values (frames, steps, joints) are further from torch.",
            ),
            Table(rows, header, title="per joint, physical units"),
        ],
    )


def _per_joint(found: Evaluation) -> Section:
    series = {s.candidate.name: s.executed.l1 / found.std for s in found.scores}
    header = ["joint", "std"]
    header += [f"{s.candidate.name}, L1" for s in found.scores]
    header += [f"{s.candidate.name}, executed" for s in found.scores]
    rows = [
        [
            joint,
            f"{found.std[place]:.3g}",
            *(f"{s.chunk.l1[place]:.3g}" for s in found.scores),
            *(f"{s.executed.l1[place]:.3g}" for s in found.scores),
        ]
        for place, joint in enumerate(found.joints)
    ]
    return Section(
        "Distance from the recorded actions",
        [
            Figure(
                charts.bars(found.joints, series, "executed L1, in the joint's std"),
                "Executed actions against the recorded ones.",
            ),
            Table(rows, header, title="per joint, physical units"),
        ],
    )


def _along(found: Evaluation) -> Section:
    by_step = {
        s.candidate.name: (s.chunk.l1_by_step / found.std).mean(axis=1) for s in found.scores
    }
    torch = {TORCH: by_step.pop(TORCH)} if TORCH in by_step and len(by_step) > 1 else {}
    return Section(
        "Along the chunk",
        [
            Figure(
                charts.curves(by_step, "step of the chunk", "L1, std", beneath=torch),
                "Mean distance from the action recorded at that step, over joints and frames.",
            )
        ],
    )


def _episode(found: Evaluation) -> Section:
    """The executed actions of one episode; the joints that are furthest off, if there are many."""
    off = np.max([s.executed.l1 / found.std for s in found.scores], axis=0)
    drawn = sorted(np.argsort(-off)[:_MOST_DRAWN].tolist())
    figures = []
    for joint in drawn:
        chart = charts.curves(
            {s.candidate.name: s.shown[:, joint] for s in found.scores},
            "tick",
            "",
            beneath={"recorded": found.shown_recorded[:, joint]},
            title=found.joints[joint],
            wide=False,
            from_zero=False,
        )
        figures.append(Figure(chart, "", wide=False))
    left = len(found.joints) - len(drawn)
    which = f" The {left} joints nearest to the recording are left out." if left else ""
    return Section(
        f"Episode {found.shown}",
        figures,
        "Recorded actions, and what the arm would be told at every tick of "
        f"{found.fps:g} Hz with a chunk from every {_nth(found.stride)}.{which}",
    )


def _origin(found: Evaluation, machine: Mapping[str, Any]) -> Section:
    rows = [
        ["dataset", found.dataset],
        ["episodes", ", ".join(map(str, found.frames))],
        ["temporal ensemble coefficient", f"{found.coeff:g}"],
        *([s.candidate.name, f"{s.candidate.place}"] for s in found.scores),
        *([key, _text(value)] for key, value in machine.items() if value is not None),
    ]
    return Section("Where it came from", [Table(rows, numeric=False)])


_ORDINAL = {2: "nd", 3: "rd"}


def _nth(stride: int) -> str:
    return "frame" if stride == 1 else f"{stride}{_ORDINAL.get(stride, 'th')} frame"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part)
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
