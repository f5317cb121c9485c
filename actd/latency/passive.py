"""The delay of every joint from a recording, without moving the arm.

Takes tick records (actd.runtime.channels.tick_dtype). A state has the timestamp that its sender
gave it: `wake_ns - state_age_ns` of any tick that used it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.control.settings import ControlSettings
from actd.latency.response import NotMeasurableError, Trace, delay
from actd.latency.result import JointDelay

LEAST_MOTION = 0.01
"""A joint commanded over a smaller share of its range is not measured."""


def joint_delays(ticks: NDArray[Any], control: ControlSettings) -> list[JointDelay]:
    """One result per joint, in order. `control`: what the ticks were decided with."""
    stretches = list(_stretches(ticks))
    turns, limits = control.turn, control.limits
    spans = np.where(turns > 0, turns, limits.upper - limits.lower)
    return [_joint(stretches, j, name, spans[j], turns[j]) for j, name in enumerate(control.joints)]


def _joint(
    stretches: list[NDArray[Any]], j: int, name: str, span: float, turn: float
) -> JointDelay:
    traces = [_trace(part, j, turn) for part in stretches]
    commanded_range = max((float(np.ptp(trace.command)) for trace in traces), default=0.0)
    if commanded_range < LEAST_MOTION * span:
        reason = (
            f"commanded range of {commanded_range:.3g}, less than {LEAST_MOTION:.0%} of its range"
            if traces
            else "nothing was commanded in this recording"
        )
        return JointDelay(name, reason=reason)
    try:
        return JointDelay(name, delay=delay(traces))
    except NotMeasurableError as reason:
        return JointDelay(name, reason=str(reason))


def _stretches(ticks: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Uninterrupted runs of ticks that all have a command and a measured state."""
    usable = np.isfinite(ticks["action"]).all(axis=1) & np.isfinite(ticks["positions"]).all(axis=1)
    usable &= ticks["state_age_ns"] >= 0
    breaks = np.flatnonzero((np.diff(ticks["seq"]) != 1) | np.diff(usable)) + 1
    edges = [0, *breaks.tolist(), len(ticks)]
    for start, end in pairwise(edges):
        if end - start > 1 and usable[start]:
            yield ticks[start:end]


def _trace(part: NDArray[Any], j: int, turn: float) -> Trace:
    measured_ns = part["wake_ns"] - part["state_age_ns"]
    measured_ns, first = np.unique(measured_ns, return_index=True)
    command, positions = part["action"][:, j], part["positions"][first, j]
    if turn > 0:
        command, positions = np.unwrap(command, period=turn), np.unwrap(positions, period=turn)
    return Trace(part["sent_ns"], command, measured_ns, positions)
