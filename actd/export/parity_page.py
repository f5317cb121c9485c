"""The parity report of one build as an HTML page. Needs jinja2 and matplotlib (`actd[report]`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from actd.engine.verify import Parity
from actd.export.frames import frames_text
from actd.export.parity import ParityReport
from actd.report import charts
from actd.report.page import Figure, PageSection, Table, page

_P99, _MAX = "p99 allowed", "max allowed"
JOINT_HEADER = ("joint", "mean", "p99", "max", "mean / std", "p99 / std", "max / std")


def engine_page(parity_report: ParityReport) -> str:
    """The whole page as HTML text."""
    manifest = parity_report.manifest
    result = "refused" if parity_report.rejection else "within its tolerance"
    lead = f"{manifest.engine} ({manifest.runtime}, {manifest.precision}) is {result}. "
    lead += f"{_judgement(parity_report)} {_largest(parity_report)}"
    sections = [_errors(parity_report), _chunk(parity_report), _sample(parity_report)]
    if manifest.calibration is not None:
        sections.append(_calibration(manifest.calibration.model_dump()))
    return page(f"{manifest.engine}: {result}", lead, [*sections, _origin(parity_report)])


def _judgement(parity_report: ParityReport) -> str:
    """What the engine adds to the policy's own error, and what it may add."""
    added, allowed = parity_report.added, parity_report.manifest.recipe.tolerance.added_error
    if added is None:
        known = "The policy's own error is not known: these frames come without recorded actions"
        fixed = ", so fixed limits judge" if allowed else ""
        return f"{known} of its joints, rate and motion{fixed}."
    limit = f", allowed {100 * allowed:g} %" if allowed else ""
    return f"It {added.text}{limit}."


def _largest(parity_report: ParityReport) -> str:
    parity, limits = parity_report.parity, _limits(parity_report)
    allowed = {name: f" (allowed {limit:g})" for name, limit in limits.items()}
    return (
        f"Against torch in float32 the worst joint is {parity_report.joints[parity.worst_joint]}, "
        f"off by at most {parity.max:.3g}, {parity.max_std:.3g} of its standard deviation"
        f"{allowed[_MAX]}; 99 % of every joint's values are within {parity.p99_std:.3g}"
        f"{allowed.get(_P99, '')}."
    )


def joint_rows(parity_report: ParityReport, parity: Parity) -> Iterator[list[str]]:
    """Mean, p99 and max of every joint, worst first, in physical units and in std."""
    for joint in parity_report.worst_first():
        error, unit = parity.per_joint[joint], parity_report.std[joint]
        values = (error.mean, error.p99, error.max, error.mean / unit, error.p99_std, error.max_std)
        yield [parity_report.joints[joint], *(f"{value:.3g}" for value in values)]


def spread_of(parity: Parity, std: Sequence[float], order: Sequence[int]) -> charts.Ranges:
    """A parity's mean, p99 and max per joint in std, joints in `order`."""
    each = [parity.per_joint[joint] for joint in order]
    return charts.Ranges(
        np.array([e.mean / std[joint] for e, joint in zip(each, order, strict=True)]),
        np.array([e.p99_std for e in each]),
        np.array([e.max_std for e in each]),
    )


def _limits(parity_report: ParityReport) -> dict[str, float]:
    """What the recipe allows of the errors against torch, by name; those that judge here."""
    tolerance = parity_report.manifest.recipe.tolerance
    by_added_error = parity_report.added is not None and tolerance.added_error is not None
    p99 = {} if by_added_error else {_P99: tolerance.p99_std}
    return p99 | {_MAX: tolerance.max_std}


def _errors(parity_report: ParityReport) -> PageSection:
    order = parity_report.worst_first()
    chart = charts.ranges(
        [parity_report.joints[joint] for joint in order],
        spread_of(parity_report.parity, parity_report.std.tolist(), order),
        "error against torch, in the joint's standard deviations",
        _limits(parity_report),
    )
    caveat = "" if parity_report.manifest.action_std else " The checkpoint has no std: 1 is used."
    return PageSection(
        "Error per joint",
        [
            Figure(chart, "Every value of every chunk, worst joint first."),
            Table(list(joint_rows(parity_report, parity_report.parity)), JOINT_HEADER),
        ],
        f"{frames_text(len(parity_report.chunks), parity_report.frames)}, run with the runtime "
        f"{parity_report.validation_runtime}. Physical units are those of the training.{caveat}",
    )


def _chunk(parity_report: ParityReport) -> PageSection:
    mean, largest = parity_report.by_step()
    return PageSection(
        "Error along the chunk",
        [
            Figure(
                charts.curves({"mean": mean, "max": largest}, "step", "error, std"),
                "Over all joints and frames, in the joint's standard deviations.",
            )
        ],
    )


def _sample(parity_report: ParityReport) -> PageSection:
    sample = parity_report.sample()
    name = parity_report.joints[sample.joint]
    both = charts.curves(
        {parity_report.manifest.engine: sample.engine},
        "step",
        "",
        beneath={"torch": sample.torch},
        title=name,
        wide=False,
        from_zero=False,
    )
    difference = charts.curves(
        {"difference": sample.engine - sample.torch},
        "step",
        "",
        title=f"{name}, engine - torch",
        wide=False,
        from_zero=False,
    )
    where = f"{name}, frame {sample.frame}: the largest error is at step {sample.step}."
    return PageSection(
        "The worst sample",
        [
            Figure(both, where, wide=False),
            Figure(difference, "Their difference.", wide=False),
        ],
    )


def _calibration(calibration: Mapping[str, Any]) -> PageSection:
    """The manifest's calibration; lists of records become tables of their own."""
    records = {key: value for key, value in calibration.items() if _is_records(value)}
    rest = {key: value for key, value in calibration.items() if key not in records}
    parts = [
        Table(
            [[_text(cell) for cell in record.values()] for record in value],
            [key_.replace("_", " ") for key_ in value[0]],
            title=key.replace("_", " "),
        )
        for key, value in records.items()
    ]
    return PageSection("Calibration", [Table(list(_flat(rest)), numeric=False), *parts])


def _origin(parity_report: ParityReport) -> PageSection:
    manifest = parity_report.manifest
    rows = [
        *_flat({"checkpoint": manifest.source.model_dump()}),
        *_flat({"built": manifest.built.model_dump()}),
    ]
    if manifest.files:
        rows.append(["model", f"{manifest.model}, {manifest.size_bytes / 1e6:.1f} MB"])
    return PageSection("Provenance", [Table(rows, numeric=False)])


def _is_records(value: Any) -> bool:
    """Whether `value` is a list of maps that share their keys."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(isinstance(v, Mapping) and v.keys() == value[0].keys() for v in value)


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[list[str]]:
    for key, value in values.items():
        name = f"{path}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}, ")
        else:
            yield [name, _text(value)]


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "-"
    return str(value)
