"""The HTML page of an evaluation: engines compared with each other, torch and the recording.

Needs jinja2 and matplotlib (`actd[report]`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from actd.engine.candidate import TORCH
from actd.evaluation.accuracy import Evaluation
from actd.evaluation.accuracy_table import FIRST_HEADER, first_rows, summary_row
from actd.report import charts
from actd.report.page import Figure, PageSection, Table, page

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


def evaluation_page(evaluation: Evaluation, machine: Mapping[str, Any]) -> str:
    """The whole page as HTML text; `machine` describes the computer that was measured."""
    mean_errors = [score.executed.l1_std(evaluation.std) for score in evaluation.scores]
    by_engine = {s.candidate.name: s.against_torch for s in evaluation.scores if s.against_torch}
    exceeding = [label for label, differences in by_engine.items() if differences.excess]
    frames, episodes = sum(evaluation.frames.values()), len(evaluation.frames)
    lead = (
        f"{frames} frames of {episodes} episodes, every {_nth_frame(evaluation.stride)}. Executed "
        f"actions are on average {min(mean_errors):.3g} to {max(mean_errors):.3g} standard "
        "deviations of a joint from the recorded ones. "
    )
    if by_engine:
        outcome = (
            f"beyond tolerance: {', '.join(exceeding)}" if exceeding else "all within tolerance"
        )
        lead += f"Against torch: {outcome}."
    sections = [
        _summary(evaluation),
        _per_joint(evaluation),
        _along_chunk(evaluation),
        _episode(evaluation),
    ]
    if by_engine:
        sections.insert(1, _torch(evaluation))
    name = evaluation.dataset.rstrip("/").rsplit("/", maxsplit=1)[-1]
    return page(f"Evaluation on {name}", lead, [*sections, _origin(evaluation, machine)])


def _summary(evaluation: Evaluation) -> PageSection:
    note = (
        "L1 and L2 are means over joints and steps of |a - â| and (a - â)², with a recorded and "
        "â predicted; steps beyond the end of an episode do not count. Each joint is divided by "
        f"its standard deviation, that of {evaluation.std_from}. l1_loss is the value that LeRobot "
        "logged before its #3442: the same mean with padded steps as zeros. Executed is the "
        "temporal ensemble, tick by tick. The tolerance is the recipe's."
    )
    parts = [Table([summary_row(evaluation, score) for score in evaluation.scores], _HEADER)]
    if pairs := first_rows(evaluation):
        title = f"difference from {evaluation.scores[0].candidate.name}, in std"
        parts.append(Table(pairs, FIRST_HEADER, title=title))
    if evaluation.notes:
        parts.append(Table([[text] for text in evaluation.notes], ["note"], numeric=False))
    return PageSection("Engines", parts, note)


def _torch(evaluation: Evaluation) -> PageSection:
    pairs = [(s, s.against_torch) for s in evaluation.scores if s.against_torch is not None]
    tails = {score.candidate.name: differences.tail for score, differences in pairs}
    labels = [score.candidate.name for score, _ in pairs]
    rows = [
        [
            joint,
            *(f"{differences.chunk.per_joint[place].p99:.3g}" for _, differences in pairs),
            *(f"{differences.chunk.per_joint[place].max:.3g}" for _, differences in pairs),
        ]
        for place, joint in enumerate(evaluation.joints)
    ]
    header = [
        "joint",
        *(f"{label}, p99" for label in labels),
        *(f"{label}, max" for label in labels),
    ]
    return PageSection(
        "Error against torch",
        [
            Figure(
                charts.tail(tails, "error against torch, in the joint's standard deviations"),
                "Share of all values (frames, steps, joints) that are further from torch.",
            ),
            Table(rows, header, title="per joint, physical units"),
        ],
    )


def _per_joint(evaluation: Evaluation) -> PageSection:
    series = {s.candidate.name: s.executed.l1 / evaluation.std for s in evaluation.scores}
    header = ["joint", "std"]
    header += [f"{s.candidate.name}, L1" for s in evaluation.scores]
    header += [f"{s.candidate.name}, executed" for s in evaluation.scores]
    rows = [
        [
            joint,
            f"{evaluation.std[place]:.3g}",
            *(f"{s.chunk.l1[place]:.3g}" for s in evaluation.scores),
            *(f"{s.executed.l1[place]:.3g}" for s in evaluation.scores),
        ]
        for place, joint in enumerate(evaluation.joints)
    ]
    return PageSection(
        "Distance from the recorded actions",
        [
            Figure(
                charts.bars(evaluation.joints, series, "executed L1, in the joint's std"),
                "Executed actions against the recorded ones.",
            ),
            Table(rows, header, title="per joint, physical units"),
        ],
    )


def _along_chunk(evaluation: Evaluation) -> PageSection:
    by_step = {
        s.candidate.name: (s.chunk.l1_by_step / evaluation.std).mean(axis=1)
        for s in evaluation.scores
    }
    torch = {TORCH: by_step.pop(TORCH)} if TORCH in by_step and len(by_step) > 1 else {}
    return PageSection(
        "Along the chunk",
        [
            Figure(
                charts.curves(by_step, "step of the chunk", "L1, std", beneath=torch),
                "Mean distance from the action recorded at that step, over joints and frames.",
            )
        ],
    )


def _episode(evaluation: Evaluation) -> PageSection:
    """The executed actions of one episode; of many joints, those with the largest errors."""
    worst_errors = np.max([s.executed.l1 / evaluation.std for s in evaluation.scores], axis=0)
    joints = sorted(np.argsort(-worst_errors)[:_MOST_DRAWN].tolist())
    figures = []
    for joint in joints:
        chart = charts.curves(
            {s.candidate.name: s.plotted_actions[:, joint] for s in evaluation.scores},
            "tick",
            "",
            beneath={"recorded": evaluation.plotted_recording[:, joint]},
            title=evaluation.joints[joint],
            wide=False,
            from_zero=False,
        )
        figures.append(Figure(chart, "", wide=False))
    omitted = len(evaluation.joints) - len(joints)
    which = f" The {omitted} joints nearest to the recording are not shown." if omitted else ""
    return PageSection(
        f"Episode {evaluation.plotted_episode}",
        figures,
        "Recorded actions, and the actions commanded at every tick of "
        f"{evaluation.fps:g} Hz with a chunk from every {_nth_frame(evaluation.stride)}.{which}",
    )


def _origin(evaluation: Evaluation, machine: Mapping[str, Any]) -> PageSection:
    rows = [
        ["dataset", evaluation.dataset],
        ["episodes", ", ".join(map(str, evaluation.frames))],
        ["temporal ensemble coefficient", f"{evaluation.coeff:g}"],
        *([s.candidate.name, f"{s.candidate.place}"] for s in evaluation.scores),
        *([key, _text(value)] for key, value in machine.items() if value is not None),
    ]
    return PageSection("Provenance", [Table(rows, numeric=False)])


_ORDINAL = {2: "nd", 3: "rd"}


def _nth_frame(stride: int) -> str:
    return "frame" if stride == 1 else f"{stride}{_ORDINAL.get(stride, 'th')} frame"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {part}" for key, part in value.items() if part)
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
