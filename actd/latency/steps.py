"""Measure the delay of one joint by moving it in small steps.

Plans the steps, asks for confirmation, has the daemon's own loop drive them, and evaluates the
response. Raises what the session raises, and NotMeasurableError for a response without a delay.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from actd.arrays import Vector
from actd.config import Config, Joint
from actd.errors import ActdError, UsageError
from actd.latency.response import NotMeasurableError, Trace, delay, step_response
from actd.latency.result import JointDelay
from actd.latency.session import session

DEFAULT_SHARE = 0.01
"""Default size of a step, as a share of the joint's range; of a continuous joint: of a turn."""
_BEFORE_NS, _AFTER_NS = 600_000_000, 1_100_000_000
_SETTLE_S = 1.0
_WAIT_S = 10.0
_SPARE_ROWS = 3  # no step is due while the end is read
_OUTSIDE = 0.001  # of a range: smaller corrections are not mentioned


@dataclass(frozen=True, slots=True)
class StepPlan:
    """Steps of `size` of one joint, each held for `hold_ticks`, in `repeats` rounds.

    Each row of the chunk is one target; the first is the joint's position.
    """

    joint: Joint
    size: float
    repeats: int
    rate_hz: float
    hold_ticks: int

    @property
    def rows(self) -> int:
        """Rows of the chunk, enough for rounds to both sides."""
        return 1 + 4 * self.repeats + _SPARE_ROWS

    @property
    def rows_hz(self) -> float:
        """Rows per second."""
        return self.rate_hz / self.hold_ticks

    def offsets(self, place: float) -> tuple[float, ...]:
        """One round from `place`: to each side that is within the limits, and back."""
        low, high = _ends(self.joint)
        sides = [offset for offset in (self.size, -self.size) if low <= place + offset <= high]
        if not sides:
            raise ActdError(
                f"joint {self.joint.name}: at {place:.4g} there is no room for a step of "
                f"{self.size:.3g} within [{low:g}, {high:g}]; move the arm, or choose a smaller "
                "--amplitude"
            )
        return tuple(offset for side in sides for offset in (side, 0.0))

    def starts(self, offsets: Sequence[float]) -> list[int]:
        """The tick of each target, counted from the first armed one; the last ends a step."""
        return [k * self.hold_ticks for k in range(1, 2 + len(offsets) * self.repeats)]

    def chunk(self, base: Vector, index: int, offsets: Sequence[float]) -> Vector:
        """Targets (rows, joints): `base` (joints,) with the steps of joint `index`."""
        rows = np.tile(base, (self.rows, 1))
        steps = list(offsets) * self.repeats
        rows[1 : 1 + len(steps), index] += steps
        return rows


def measure_steps(
    config: Config,
    name: str,
    amplitude: float | None,
    repeats: int,
    confirm: Callable[[str], None],
) -> JointDelay:
    """Move joint `name` by +-`amplitude` (default: DEFAULT_SHARE of its range); return its delay.

    `confirm` gets a sentence about what will move, and raises to refuse.
    """
    joint = _joint(config, name)
    index = config.joints.index(joint)
    plan = plan_steps(joint, amplitude, repeats, config.control.rate_hz)
    with session(config, plan.rows, plan.rows_hz) as arm:
        announced = arm.wait_positions(_WAIT_S)
        confirm(sentence(config, plan, announced))
        positions = arm.wait_positions(_WAIT_S)
        shift = positions[index] - announced[index]
        if joint.turn is not None:
            shift -= joint.turn * round(shift / joint.turn)
        if abs(shift) > plan.size / 2:
            raise ActdError(
                f"joint {name}: moved from {announced[index]:.4g} to {positions[index]:.4g} "
                "while it waited for your answer; start again"
            )
        base = hold_targets(config, positions)
        offsets = plan.offsets(float(base[index]))
        starts = plan.starts(offsets)
        ticks = starts[-1] + math.ceil(_AFTER_NS * plan.rate_hz / 1e9)
        trace = arm.drive(plan.chunk(base, index, offsets), index, ticks)
    # The limiter starts towards a target after the tick before its own.
    starts_ns = [int(trace.sent_ns[tick - 1]) for tick in starts]
    try:
        return read_steps(name, trace, starts_ns, len(offsets))
    except NotMeasurableError as reason:
        raise NotMeasurableError(f"joint {name}: {reason}") from None


def plan_steps(joint: Joint, amplitude: float | None, repeats: int, rate_hz: float) -> StepPlan:
    """The steps, independent of the joint's position."""
    size = DEFAULT_SHARE * _width(joint) if amplitude is None else amplitude
    # A small step ends before the joint reaches full speed.
    speed = min(joint.velocity, math.sqrt(size * joint.acceleration))
    travel_s = size / speed + speed / joint.acceleration
    hold_ticks = math.ceil((_SETTLE_S + 2 * travel_s) * rate_hz)
    return StepPlan(joint, size, repeats, rate_hz, hold_ticks)


def hold_targets(config: Config, positions: Vector) -> Vector:
    """The command that holds every joint, (joints,): its position within its limits."""
    low, high = np.transpose([_ends(joint) for joint in config.joints])
    has_speed = [joint.kind == "velocity" for joint in config.joints]
    return np.where(has_speed, 0.0, np.minimum(np.maximum(positions, low), high))


def sentence(config: Config, plan: StepPlan, positions: Vector) -> str:
    """What will move, for the operator to confirm. Raises ActdError where there is no room."""
    joint, base = plan.joint, hold_targets(config, positions)
    index = config.joints.index(joint)
    place = float(base[index])
    offsets = plan.offsets(place)
    seconds = plan.starts(offsets)[-1] / plan.rate_hz
    words = [
        f"joint {joint.name} will move between {place + min(offsets):.4g} and "
        f"{place + max(offsets):.4g} {config.robot.units} (now {positions[index]:.4g}) "
        f"for {seconds:.0f} s; all other joints hold their position",
        *_moves_inside(config, positions, base),
    ]
    return "; ".join(words)


def read_steps(joint: str, trace: Trace, starts_ns: Sequence[int], per_repeat: int) -> JointDelay:
    """The delay from steps that begin at `starts_ns`, the last of which ends the last step."""
    steps = tuple(step_response(trace, start, end) for start, end in pairwise(starts_ns))
    turns = starts_ns[::per_repeat]
    parts = [_cut(trace, start - _BEFORE_NS, end + _AFTER_NS) for start, end in pairwise(turns)]
    return JointDelay(joint, delay=delay(parts), steps=steps)


def _joint(config: Config, name: str) -> Joint:
    steppable = {joint.name: joint for joint in config.joints if joint.kind != "velocity"}
    if name in steppable:
        return steppable[name]
    problem = (
        "is commanded by velocity and cannot be stepped"
        if name in config.robot.joints
        else "unknown"
    )
    remedy = (
        f"choose one of {', '.join(steppable)}"
        if steppable
        else "no joint of this robot can be stepped"
    )
    raise UsageError(f"--joint {name}: {problem}; {remedy}")


def _moves_inside(config: Config, positions: Vector, base: Vector) -> Iterator[str]:
    """A phrase for every joint that has to move because it is outside its limits."""
    for joint, position, target in zip(config.joints, positions, base, strict=True):
        if joint.kind != "velocity" and abs(position - target) > _OUTSIDE * _width(joint):
            yield f"{joint.name} goes from {position:.4g} back to its limit {target:.4g}"


def _ends(joint: Joint) -> tuple[float, float]:
    """Lower and upper limit of the joint's command."""
    low = -math.inf if joint.lower is None else joint.lower
    high = math.inf if joint.upper is None else joint.upper
    return low, high


def _width(joint: Joint) -> float:
    """The range of its commands; of a continuous joint: one turn."""
    low, high = _ends(joint)
    return high - low if joint.turn is None else joint.turn


def _cut(trace: Trace, start_ns: int, end_ns: int) -> Trace:
    in_commands = (trace.sent_ns >= start_ns) & (trace.sent_ns <= end_ns)
    in_states = (trace.measured_ns >= start_ns) & (trace.measured_ns <= end_ns)
    return Trace(
        trace.sent_ns[in_commands],
        trace.command[in_commands],
        trace.measured_ns[in_states],
        trace.state[in_states],
    )
