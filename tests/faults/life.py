"""What is known of one daemon's life: the messages it sent, where the arm was, who ordered what.

All times are CLOCK_BOOTTIME of this computer, in ns: the clock of the daemon's own stamps.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np

from actd.arrays import Vector
from actd.link.messages import Action
from actd.mode import Mode
from tests.faults.leader import Led

_Item = TypeVar("_Item")


class Received(NamedTuple):
    """One message and when it arrived."""

    arrival_ns: int
    action: Action


class Sample(NamedTuple):
    """The arm at one moment: `position` per joint, and the largest `speed` since the sample before,
    of the joints that are compared.

    `driven`: its servos decide where it goes. `returns` counts how often its own world let go of
    it: torque came back, a hand or a wall went away, its controller began or was late. `source`
    counts its controllers. `known`: the daemon is told where it is, and truly. `seq` is the
    message that it obeys, 0 for none, and `expired` says that it obeys by stopping gently.
    """

    t_ns: int
    position: tuple[float, ...]
    speed: float
    driven: bool = True
    returns: int = 0
    source: int = 1
    known: bool = True
    seq: int = 0
    expired: bool = False


class Operated(NamedTuple):
    """One order that was obeyed: when it was given, and when that was answered."""

    given_ns: int
    answered_ns: int
    event: str

    def explains(self, event: str, t_ns: int) -> bool:
        """Whether it is why a tick that sent its message at `t_ns` did this."""
        return self.event == event and self.given_ns <= t_ns <= self.answered_ns


class Span(NamedTuple):
    """When the fault began and was over."""

    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """The limits of every joint of the test's robot, and the daemon's limits of time.

    `compared`: the joints, from the first on, whose measured place is compared. `follow_distance`
    also is how near they have to be to begin. `servo_gain`: speed of the arm's own servos, 1/s.
    """

    period_ns: int
    position: float
    velocity: float
    acceleration: float
    ttl_ns: int
    state_ns: int
    fault_after_ns: int
    follow_ns: int
    follow_distance: float
    compared: int
    servo_gain: float

    @property
    def step(self) -> float:
        """The largest change of a command from one tick to the next."""
        return self.velocity * self.period_ns / 1e9

    @property
    def ramp_ns(self) -> int:
        """The longest that coming to rest may take."""
        return round(self.velocity / self.acceleration * 1e9) + 2 * self.period_ns

    @property
    def arm_speed(self) -> float:
        """The fastest that an arm may move that follows what it is told: servos follow steps."""
        return 1.3 * self.velocity + self.servo_gain * self.step

    @property
    def runaway_ns(self) -> int:
        """The longest that a command may be too far from the arm: until that is a fault, to rest,
        and until the commands begin anew where the arm is; states and messages are on their way.
        """
        return self.follow_ns + self.ramp_ns + 5 * self.period_ns


@dataclass(frozen=True, slots=True)
class Life:
    """Messages and samples in order of time, orders that were obeyed, and where a leader was."""

    log: Sequence[Received]
    arm: Sequence[Sample]
    operated: Sequence[Operated] = ()
    led: Sequence[Led] = ()

    def cut(self, begin_ns: int, end_ns: int) -> Life:
        """The part of it between two moments; a message counts by when it was sent."""
        return Life(
            _between(self.log, lambda r: r.action.t_boot_ns, begin_ns, end_ns),
            _between(self.arm, lambda s: s.t_ns, begin_ns, end_ns),
            self.operated,
            self.led,
        )

    def at(self, t_ns: int) -> Sample | None:
        """Where the arm was; None before it was looked at."""
        place = bisect.bisect_right(self.arm, t_ns, key=lambda s: s.t_ns)
        return self.arm[place - 1] if place else None

    def mode_at(self, t_ns: int) -> Mode | None:
        """Of the newest message; None before the first."""
        place = bisect.bisect_right(self.log, t_ns, key=lambda r: r.action.t_boot_ns)
        return self.log[place - 1].action.mode if place else None

    def near(self, command: Vector, t_ns: int, back_ns: int, within: float) -> bool:
        """Whether the arm was `within` of `command`, of its first joints, at some time since
        `back_ns` before `t_ns`.
        """
        found = [s.position for s in self.cut(t_ns - back_ns, t_ns).arm]
        latest = self.at(t_ns)
        if latest is not None:
            found.append(latest.position)
        if not found:
            return True
        distance = np.abs(np.array(found)[:, : len(command)] - command)
        return bool((distance.max(axis=1) <= within).any())


class Step(NamedTuple):
    """A command, (joints,) or None, and how it follows the one before: after `ticks` by its
    number, and after `elapsed_ns` by its stamps.
    """

    action: Action
    command: Vector | None
    before: Vector | None
    ticks: int
    elapsed_ns: int

    @property
    def t_ns(self) -> int:
        """When it was sent."""
        return self.action.t_boot_ns


def steps(log: Sequence[Received]) -> Iterator[Step]:
    """Every message but the first as a step from the one before; what repeats or goes back is
    left out, and told by `promise.disorder`.
    """
    before: Action | None = None
    for _, action in log:
        if before is not None:
            ticks = action.seq - before.seq
            if ticks < 1 or action.t_boot_ns <= before.t_boot_ns:
                continue
            yield Step(
                action, vector(action), vector(before), ticks, action.t_boot_ns - before.t_boot_ns
            )
        before = action


def vector(action: Action) -> Vector | None:
    """Its command, (joints,)."""
    return np.array(list(action.action.values())) if action.action else None


def _between(
    items: Sequence[_Item], t_ns: Callable[[_Item], int], begin_ns: int, end_ns: int
) -> Sequence[_Item]:
    begin = bisect.bisect_left(items, begin_ns, key=t_ns)
    return items[begin : bisect.bisect_right(items, end_ns, lo=begin, key=t_ns)]
