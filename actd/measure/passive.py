"""The delay of every joint from a recording: nothing is moved for it.

Takes tick records (actd.runtime.blocks.tick_dtype). A state is dated by the tick that first
saw it, so a figure of one joint is coarse by up to one control period.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.measure.response import NotMeasurableError, Trace, Values, delay
from actd.measure.result import JointDelay

LEAST_MOTION = 0.01
"""A joint that was commanded over a smaller share of its range is not measured."""


def joint_delays(
    ticks: NDArray[Any], limits: Mapping[str, Sequence[float]], joints: Sequence[str]
) -> list[JointDelay]:
    """One result per joint, in order. `limits` has `lower` and `upper`, per joint."""
    stretches = list(_stretches(ticks))
    ranges = np.subtract(limits["upper"], limits["lower"])
    return [_joint(stretches, j, name, ranges[j]) for j, name in enumerate(joints)]


def _joint(stretches: list[NDArray[Any]], j: int, name: str, span: float) -> JointDelay:
    moved = max((float(np.ptp(part["action"][:, j])) for part in stretches), default=0.0)
    if moved < LEAST_MOTION * span:
        reason = (
            f"commanded over {moved:.3g} only, less than {LEAST_MOTION:.0%} of its range"
            if stretches
            else "nothing was commanded in this recording"
        )
        return JointDelay(name, refused=reason)
    try:
        return JointDelay(name, delay=delay([_trace(part, j) for part in stretches]))
    except NotMeasurableError as reason:
        return JointDelay(name, refused=str(reason))


def _stretches(ticks: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Runs of ticks without a break, all with a command and a pose."""
    usable = np.isfinite(ticks["action"]).all(axis=1) & np.isfinite(ticks["pose"]).all(axis=1)
    breaks = np.flatnonzero((np.diff(ticks["seq"]) != 1) | np.diff(usable)) + 1
    edges = [0, *breaks.tolist(), len(ticks)]
    for start, end in pairwise(edges):
        if end - start > 1 and usable[start]:
            yield ticks[start:end]


def _trace(part: NDArray[Any], j: int) -> Trace:
    arrived_ns = part["wake_ns"] - part["state_age_ns"]
    arrived_ns, first = np.unique(arrived_ns, return_index=True)
    pose: Values = part["pose"][first, j]
    return Trace(part["sent_ns"], part["action"][:, j], arrived_ns, pose)
