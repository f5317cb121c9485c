"""The delay of one joint from small steps that it is made to take.

Chooses the steps, asks, drives them through a Session, and reads the answer. Raises what the
session raises; a joint whose answer cannot be read is a NotMeasurableError.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from actd.config import Config, JointConfig
from actd.errors import ActdError, UsageError
from actd.measure.response import Trace, delay, step_response
from actd.measure.result import JointDelay
from actd.measure.session import Session, Target

DEFAULT_SHARE = 0.01
"""How large a step is by default, of the joint's range."""
_BEFORE_NS, _AFTER_NS = 600_000_000, 1_100_000_000
_SETTLE_S = 1.0
_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What will be moved: `offsets` from `pose`, each held for `hold_ns`, `repeats` times."""

    joint: str
    unit: str
    pose: float
    offsets: tuple[float, ...]
    hold_ns: int
    repeats: int

    def sentence(self) -> str:
        """For the person who is asked."""
        low, high = self.pose + min(self.offsets), self.pose + max(self.offsets)
        seconds = self.hold_ns * len(self.offsets) * self.repeats / 1e9
        return (
            f"joint {self.joint} will move between {low:.4g} and {high:.4g} {self.unit} "
            f"(now {self.pose:.4g}) for {seconds:.0f} s; all other joints hold their pose"
        )


def measure_steps(
    config: Config,
    joint: str,
    amplitude: float | None,
    repeats: int,
    confirm: Callable[[str], None],
) -> JointDelay:
    """Move `joint` by +-`amplitude` (default: DEFAULT_SHARE of its range) and read its delay.

    `confirm` is given what will move, and raises to refuse.
    """
    limits = config.robot.joints.get(joint)
    if limits is None:
        known = ", ".join(config.robot.joints)
        raise UsageError(f"--joint {joint}: no such joint: choose one of {known}")
    index = list(config.robot.joints).index(joint)
    with Session(config) as session:
        pose = float(session.wait_pose(_WAIT_S)[index])
        plan = plan_steps(joint, limits, config.robot.units, pose, amplitude, repeats)
        confirm(plan.sentence())
        targets = [Target(0.0, _BEFORE_NS)]
        targets += [Target(offset, plan.hold_ns) for offset in plan.offsets] * repeats
        targets += [Target(0.0, _AFTER_NS)]
        trace, starts_ns = session.drive(joint, targets)
    return read_steps(joint, trace, starts_ns[1:], len(plan.offsets))


def plan_steps(  # noqa: PLR0917
    joint: str,
    limits: JointConfig,
    unit: str,
    pose: float,
    amplitude: float | None,
    repeats: int,
) -> StepPlan:
    """The steps from `pose`, to both sides where the position limits leave room for it."""
    low, high = limits.position
    size = DEFAULT_SHARE * (high - low) if amplitude is None else amplitude
    sides = [offset for offset in (size, -size) if low <= pose + offset <= high]
    if not sides:
        raise ActdError(
            f"joint {joint}: at {pose:.4g} there is no room for a step of {size:.3g} within "
            f"[{low:g}, {high:g}]: move the arm, or choose a smaller --amplitude"
        )
    # A small step is over before the joint is at full speed.
    speed = min(limits.velocity, math.sqrt(size * limits.acceleration))
    travel_s = size / speed + speed / limits.acceleration
    return StepPlan(
        joint=joint,
        unit=unit,
        pose=pose,
        offsets=tuple(offset for side in sides for offset in (side, 0.0)),
        hold_ns=round((_SETTLE_S + 2 * travel_s) * 1e9),
        repeats=repeats,
    )


def read_steps(joint: str, trace: Trace, starts_ns: Sequence[int], per_repeat: int) -> JointDelay:
    """The answer to steps that begin at `starts_ns`, the last of which ends the last step."""
    steps = tuple(step_response(trace, start, end) for start, end in pairwise(starts_ns))
    turns = starts_ns[::per_repeat]
    parts = [_between(trace, start - _BEFORE_NS, end + _AFTER_NS) for start, end in pairwise(turns)]
    return JointDelay(joint, delay=delay(parts), steps=steps)


def _between(trace: Trace, start_ns: int, end_ns: int) -> Trace:
    sent = (trace.sent_ns >= start_ns) & (trace.sent_ns <= end_ns)
    measured = (trace.measured_ns >= start_ns) & (trace.measured_ns <= end_ns)
    return Trace(
        trace.sent_ns[sent],
        trace.command[sent],
        trace.measured_ns[measured],
        trace.state[measured],
    )
