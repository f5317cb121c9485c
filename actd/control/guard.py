"""The last function before the socket: what may be commanded next.

finite -> position -> velocity -> acceleration -> jerk, per joint, against the last command.
The guard also brakes in time: it never takes up a velocity from which it could not come to
rest inside the position limits, nor one that would overshoot a target standing still.
Limits are in the joint's own unit, its unit/s, /s^2 and /s^3; every step is one control
period, so a skipped tick costs motion and never adds speed.

What is promised, for every target: position, velocity and acceleration limits hold at every
step. The jerk limit holds too, except where the position or acceleration limit could not be
kept otherwise; it is looked after early enough that this is not seen in practice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.control.descent import first_step
from actd.control.jerk import JerkLimit

Vector = NDArray[np.float64]


class Flag(IntFlag):
    """Why a command is not simply the plan's action; on the wire as a number."""

    POSITION = 1
    VELOCITY = 2
    ACCELERATION = 4
    NON_FINITE = 8
    EASING = 16
    STARVED = 32
    STATE_STALE = 64
    CAMERA_STALE = 128
    JERK = 256
    CAMERA_FROZEN = 512
    CONTROLLER_LOST = 1024


LIMIT_FLAGS = (Flag.POSITION, Flag.VELOCITY, Flag.ACCELERATION, Flag.JERK)
"""What each row of `Guard.acted` stands for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per joint, each (action_dim,): position range, and the largest |velocity|,
    |acceleration| and |jerk| (inf: not limited).
    """

    lower: Vector
    upper: Vector
    velocity: Vector
    acceleration: Vector
    jerk: Vector


class Motion(NamedTuple):
    """What is remembered of the last command, each (action_dim,): where it was, its velocity
    and by how much that had changed, the target it was for and how fast that moved, and the
    position limits, which for an arm found outside them begin where it is.
    """

    position: Vector
    velocity: Vector
    change: Vector
    target: Vector
    target_velocity: Vector
    lower: Vector
    upper: Vector


class Guard:
    """Bounds the next command by the last, whose `motion` is all it remembers.

    `acted` (len(LIMIT_FLAGS), action_dim) says which limit changed which joint's command in
    the last `step`.
    """

    def __init__(self, limits: Limits, period_ns: int) -> None:
        self._limits = limits
        self._dt_s = period_ns / 1e9
        # In one period a velocity changes by at most this, in unit/s.
        self._dv = limits.acceleration * self._dt_s
        self._jerk = JerkLimit(limits, self._dt_s)
        shape = limits.lower.shape
        self.acted: NDArray[np.bool_] = np.zeros((len(LIMIT_FLAGS), *shape), np.bool_)
        self._tolerance = 1e-9 * (1.0 + limits.velocity)
        self._stages = np.zeros((len(LIMIT_FLAGS), *shape))  # velocity after each limit
        self._distances = np.zeros((3, *shape))
        self._nothing: Vector = np.zeros(shape)
        self.reset(self._nothing)
        self._last_step = (self.motion, self._nothing, self.motion, 0)

    @property
    def position(self) -> Vector:
        """The last command."""
        return self.motion.position

    @property
    def velocity(self) -> Vector:
        """How fast the last command moved."""
        return self.motion.velocity

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move."""
        return not self.motion.velocity.any()

    def reset(self, position: Vector) -> None:
        """Start from `position` at rest: the measured pose, before the first command.

        An arm found outside its limits may stay there and move inwards, never further out.
        """
        here: Vector = np.array(position, dtype=np.float64)
        rest = self._nothing
        self.motion = Motion(here, rest, rest, here, rest, *self._walls(here))

    def step(self, target: Vector) -> tuple[Vector, int]:
        """The command for this period, (action_dim,), and the Flags that say what was limited.

        A target that is not finite brakes, with Flag.NON_FINITE: the caller must fault. Of the
        same motion and target, the very objects, the step is known and not computed again.
        """
        before, known_target, after, flags = self._last_step
        if self.motion is before and target is known_target:
            self.motion = after
            return after.position, flags
        if np.count_nonzero(np.isfinite(target)) < target.size:
            return self.brake(), int(Flag.NON_FINITE)
        limits, last, stages, acted = self._limits, self.motion, self._stages, self.acted
        inside = np.minimum(np.maximum(target, limits.lower), limits.upper)
        error = inside - last.position
        wanted = np.divide(error, self._dt_s, out=stages[0])
        top = limits.velocity
        fast = np.minimum(np.maximum(wanted, -top), top, out=stages[1])
        target_velocity = (inside - last.target) / self._dt_s
        target_velocity = np.minimum(np.maximum(target_velocity, -top), top)

        closing, lowest, highest = self._bounds(error)
        # Coming to rest at the target matters only as far as the target itself stands still:
        # a moving target is followed at its own speed plus what can still be braked.
        reachable = np.minimum(fast, np.maximum(target_velocity, 0.0) + closing)
        reachable = np.maximum(reachable, np.minimum(target_velocity, 0.0) - closing)
        reachable = np.minimum(np.maximum(reachable, lowest), highest, out=stages[2])
        velocity = reachable.copy()
        if self._jerk.joints.size:
            self._jerk.follow(velocity, last, target_velocity)
            velocity = np.minimum(np.maximum(velocity, lowest), highest)
        stages[3] = velocity

        np.not_equal(inside, target, out=acted[0])
        np.greater(np.abs(stages[1:] - stages[:-1]), self._tolerance, out=acted[1:])
        position, flags = self._move(velocity, inside, target_velocity), self._flags()
        self._last_step = (last, target, self.motion, flags)
        return position, flags

    def brake(self) -> Vector:
        """The command that loses speed as fast as the limits allow."""
        last = self.motion
        slower = np.sign(last.velocity) * np.maximum(np.abs(last.velocity) - self._dv, 0.0)
        if self._jerk.joints.size:
            _, lowest, highest = self._bounds(self._nothing)
            some = self._jerk.joints
            self._jerk.brake(slower, last)
            slower[some] = np.minimum(np.maximum(slower, lowest), highest)[some]
        return self._move(slower, last.position, self._nothing)

    def _bounds(self, error: Vector) -> tuple[Vector, Vector, Vector]:
        """The speed that can still be lost within |error|, and the range of velocities within
        the acceleration limit that leave room to stop before the position limits.
        """
        last, distances, dv = self.motion, self._distances, self._dv
        np.abs(error, out=distances[0])
        np.subtract(last.upper, last.position, out=distances[1])
        np.subtract(last.position, last.lower, out=distances[2])
        np.maximum(distances, 0.0, out=distances)
        closing, up, down = first_step(distances / (dv * self._dt_s)) * dv
        # The position limits are walls: where they disagree with anything, they win.
        lowest = np.minimum(np.maximum(last.velocity - dv, -down), up)
        highest = np.maximum(np.minimum(last.velocity + dv, up), -down)
        return closing, lowest, highest

    def _move(self, velocity: Vector, target: Vector, target_velocity: Vector) -> Vector:
        last = self.motion
        position = last.position + velocity * self._dt_s
        # Rounding may leave the last step a few ulp outside.
        position = np.minimum(np.maximum(position, last.lower), last.upper)
        change, walls = velocity - last.velocity, self._walls(position)
        self.motion = Motion(position, velocity, change, target, target_velocity, *walls)
        return position

    def _walls(self, position: Vector) -> tuple[Vector, Vector]:
        """The position limits; for an arm that lies outside them, where it is."""
        limits = self._limits
        return np.minimum(limits.lower, position), np.maximum(limits.upper, position)

    def _flags(self) -> int:
        if not np.count_nonzero(self.acted):
            return 0
        return sum(
            flag.value for flag, acted in zip(LIMIT_FLAGS, self.acted, strict=True) if acted.any()
        )
