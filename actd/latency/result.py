"""The result of a latency measurement: per joint, as text and JSON, with advice on its use."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from actd.errors import ActdError
from actd.latency.response import Delay, Step

APART_MS = 10
"""A joint whose delay differs from the arm's by more gets a setting of its own."""


@dataclass(frozen=True, slots=True)
class JointDelay:
    """One joint: its delay, or the `reason` why there is none, and the steps it made, if any."""

    joint: str
    delay: Delay | None = None
    reason: str = ""
    steps: tuple[Step, ...] = ()


def latency_ms(joints: Sequence[JointDelay]) -> int:
    """The arm's delay: the median over the joints.

    Raises ActdError, with every joint's reason, when none was measured.
    """
    measured = [joint.delay.delay_ns / 1e6 for joint in joints if joint.delay is not None]
    if not measured:
        reasons = "; ".join(f"{joint.joint}: {joint.reason}" for joint in joints)
        raise ActdError(f"no joint could be measured: {reasons}")
    return max(0, round(statistics.median(measured)))


def as_json(joints: Sequence[JointDelay]) -> dict[str, Any]:
    """The measurement as plain JSON data. Raises as `latency_ms` does."""
    return {
        "latency_ms": latency_ms(joints),
        "joints": {joint.joint: dict(_facts(joint)) for joint in joints},
    }


def lines(joints: Sequence[JointDelay]) -> list[str]:
    """The measurement as lines of text, ending with advice. Raises as `latency_ms` does."""
    width = max(len(joint.joint) for joint in joints)
    rows = [f"{joint.joint:<{width}}  {_sentence(joint)}" for joint in joints]
    return [*rows, "", *_advice(latency_ms(joints), joints)]


def _advice(arm_ms: int, joints: Sequence[JointDelay]) -> list[str]:
    """What to set. A lag that is in the training data must not be compensated a second time."""
    outliers = [
        (joint.joint, max(0, round(joint.delay.delay_ns / 1e6)))
        for joint in joints
        if joint.delay is not None and abs(joint.delay.delay_ns / 1e6 - arm_ms) > APART_MS
    ]
    overrides = ", ".join(f"{name}: {{actuation_latency_ms: {ms}}}" for name, ms in outliers)
    return [
        "next: what is `action` in the dataset that the policy was trained on?",
        "- the leader's command (teleoperation: ALOHA, LeRobot): the data contain the arm's delay;",
        "  actuation_latency_ms stays 0",
        "- a measured position that the arm was to reach (UMI): put into the deployment file",
        f"control: {{actuation_latency_ms: {arm_ms}}}",
        *([f"robot: {{joints: {{{overrides}}}}}  # joints that differ"] if overrides else []),
    ]


def _sentence(joint: JointDelay) -> str:
    if joint.delay is None:
        return f"not measured: {joint.reason}"
    facts = _facts(joint)
    text = f"{facts['latency_ms']:6.1f} ms"
    if joint.delay.parts > 1:
        text += f" +- {facts['spread_ms']:.1f} over {joint.delay.parts}"
    text += f", correlation {facts['correlation']:.3f}"
    if joint.steps:
        onset, rise, command = facts["onset_ms"], facts["rise_ms"], facts["command_rise_ms"]
        text += (
            f"; {len(joint.steps)} steps: starts after {onset['mean']:.1f} +- "
            f"{onset['spread']:.1f} ms, rises in {rise['mean']:.1f} +- {rise['spread']:.1f} ms "
            f"(commanded in {command['mean']:.1f})"
        )
    return text


def _facts(joint: JointDelay) -> dict[str, Any]:
    if joint.delay is None:
        return {"reason": joint.reason}
    facts: dict[str, Any] = {
        "latency_ms": round(joint.delay.delay_ns / 1e6, 2),
        "spread_ms": round(joint.delay.spread_ns / 1e6, 2),
        "correlation": round(joint.delay.correlation, 4),
        "parts": joint.delay.parts,
    }
    for name in ("onset", "rise", "command_rise") if joint.steps else ():
        values = [getattr(step, f"{name}_ns") / 1e6 for step in joint.steps]
        facts[f"{name}_ms"] = {
            "mean": round(statistics.fmean(values), 2),
            "spread": round(statistics.stdev(values), 2) if len(values) > 1 else 0.0,
        }
    return facts
