"""The last function before the socket: what may be commanded next.

finite -> position -> velocity -> acceleration, per joint, against the last command. Every step
is one control period, so a skipped tick costs motion and never adds speed. Limits are in the
joint's own unit, its unit/s and /s^2.

Two kinds of walls bound the way to the target. The position limits always hold. The range of
the rows that are due within the stopping time (`low`, `high` of `step`) is kept from afar: no
speed is taken up from which the joint could not come to rest inside it. Where the plan turns
away and that range shrinks under a moving joint, the joint brakes as hard as it may, and so
comes to rest inside the range as it was.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.braking import first_step
from actd.control.limits import LIMIT_FLAGS, Flag, Kind, Limits

_BITS = np.array(LIMIT_FLAGS)


class Motion(NamedTuple):
    """What is remembered of the last command, each (action_dim,): where it was, its velocity,
    the target it was for, and between which walls it was given.
    """

    position: Vector
    velocity: Vector
    target: Vector
    lower: Vector
    upper: Vector


class Rest(NamedTuple):
    """Where braking now would end, (action_dim,), and how long that takes."""

    position: Vector
    duration_ns: int


def _finite(*vectors: Vector | None) -> bool:
    # One value that is not finite leaves no finite sum.
    return all(vector is None or math.isfinite(vector.sum()) for vector in vectors)


class JointLimiter:
    """Bounds the next command by the last, whose `motion` is all it remembers.

    `acted` (len(LIMIT_FLAGS), action_dim) says which limit changed which joint's command in
    the last `step`.
    """

    def __init__(self, limits: Limits, period_ns: int, kinds: tuple[Kind, ...] = ()) -> None:
        self._dt_s = period_ns / 1e9
        self._lower, self._upper, self._top = limits.lower, limits.upper, limits.velocity
        shape = limits.lower.shape
        self._speeds: NDArray[np.bool_] = np.array([kind == "velocity" for kind in kinds], np.bool_)
        if not self._speeds.any():
            self._speeds = np.zeros(shape, np.bool_)
        self._any_speed = bool(self._speeds.any())
        # In one period a velocity changes by at most this, in unit/s; a speed's own change may
        # begin and end at once.
        self._dv: Vector = np.where(self._speeds, 2 * self._top, limits.acceleration * self._dt_s)
        self.acted: NDArray[np.bool_] = np.zeros((len(LIMIT_FLAGS), *shape), np.bool_)
        self._tolerance = 1e-9 * (1.0 + self._top)
        self._stages = np.zeros((len(LIMIT_FLAGS), *shape))  # velocity after each limit
        self._distances = np.zeros((5, *shape))
        self._nothing: Vector = np.zeros(shape)
        self.reset(self._nothing)

    @property
    def command(self) -> Vector:
        """The last command, (action_dim,)."""
        return self.motion.position

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move, and no speed was commanded."""
        motion = self.motion
        return not motion.velocity.any() and not (
            self._any_speed and motion.position[self._speeds].any()
        )

    def reset(self, position: Vector) -> None:
        """Start from `position` (action_dim,) at rest: the measured one, before the first command.

        An arm found outside its limits may stay there and move inwards, never further out. A
        speed starts from 0.
        """
        here: Vector = np.where(self._speeds, 0.0, position)
        self.motion = Motion(here, self._nothing, here, here, here)

    def step(
        self, target: Vector, low: Vector | None = None, high: Vector | None = None
    ) -> tuple[Vector, int]:
        """The command for this period, (action_dim,), and the Flags that say what was limited.

        `low` and `high`: the range of what is planned within the stopping time; default: the
        position limits. Where any of them is not finite, all joints brake, with Flag.NON_FINITE:
        the caller must fault.
        """
        if not _finite(target, low, high):
            return self.brake(), int(Flag.NON_FINITE)
        last, stages, acted, top = self.motion, self._stages, self.acted, self._top
        inside = np.minimum(np.maximum(target, self._lower), self._upper)
        error = inside - last.position
        direct = np.divide(error, self._dt_s, out=stages[0])
        fast = np.minimum(np.maximum(direct, -top), top, out=stages[1])
        target_velocity = np.minimum(np.maximum((inside - last.target) / self._dt_s, -top), top)

        lower, upper = self._walls(last.position, low, high)
        closing, lowest, highest = self._bounds(error, lower, upper)
        # Coming to rest at the target matters only as far as the target itself stands still:
        # a moving target is followed at its own speed plus what can still be braked.
        reachable = np.minimum(fast, np.maximum(target_velocity, 0.0) + closing)
        reachable = np.maximum(reachable, np.minimum(target_velocity, 0.0) - closing)
        velocity = np.minimum(np.maximum(reachable, lowest), highest, out=stages[2])

        np.not_equal(inside, target, out=acted[0])
        np.greater(np.abs(stages[1:] - stages[:-1]), self._tolerance, out=acted[1:])
        return self._move(velocity.copy(), inside, lower, upper), self._flags()

    def brake(self) -> Vector:
        """The command that comes to rest as fast as the limits allow, straight on.

        All joints lose the same share of their speed, the slowest to stop as much as it may, so
        that the hand goes on in its direction and every joint rests at the same time.
        """
        last = self.motion
        share = self.braking_share
        velocity: Vector = last.velocity * share
        if self._any_speed:
            # A speed is lost by itself: what counts is the command, not its change.
            lost = np.minimum(np.maximum(-last.position / self._dt_s, -self._top), self._top)
            velocity = np.where(self._speeds, lost, velocity)
        _, lowest, highest = self._bounds(self._nothing, last.lower, last.upper)
        velocity = np.minimum(np.maximum(velocity, lowest), highest)
        # Rounding may leave the last step a trace of speed.
        velocity[np.abs(velocity) < self._tolerance] = 0.0
        position = self._move(velocity, last.position, last.lower, last.upper)
        # And a speed a trace of itself.
        position[self._speeds & (np.abs(position) < self._tolerance * self._dt_s)] = 0.0
        return position

    @property
    def braking_share(self) -> float:
        """Which share of the speed is left after one period of braking, 0 to 1."""
        periods = float((np.abs(self.motion.velocity) / self._dv).max(initial=0.0))
        return max(0.0, 1.0 - 1.0 / periods) if periods > 1.0 else 0.0

    def rest(self) -> Rest:
        """Where the last command would come to rest if braking began now."""
        last = self.motion
        moving = np.where(self._speeds, 0.0, last.velocity) if self._any_speed else last.velocity
        periods = np.abs(moving) / self._dv
        duration_s = float(periods.max(initial=0.0)) * self._dt_s
        # The first of the steps to rest is a shorter one already.
        place = last.position + moving * (max(0.0, duration_s - self._dt_s) / 2)
        # A joint that is beyond a wall already, or cannot stop before it, brakes all it can.
        nearest = last.position + moving * np.maximum(periods - 1.0, 0.0) * (self._dt_s / 2)
        place = np.maximum(place, np.minimum(last.lower, nearest))
        place = np.minimum(place, np.maximum(last.upper, nearest))
        if self._any_speed:
            speeds = np.abs(last.position[self._speeds]) / self._top[self._speeds]
            duration_s = max(duration_s, float(speeds.max()))
            place[self._speeds] = 0.0
        return Rest(place, round(duration_s * 1e9))

    def _bounds(self, error: Vector, lower: Vector, upper: Vector) -> tuple[Vector, Vector, Vector]:
        """The speed that can still be lost within |error|, and the range of velocities within
        the acceleration limit that leave room to stop before the walls.
        """
        last, distances, dv = self.motion, self._distances, self._dv
        np.abs(error, out=distances[0])
        np.subtract(np.maximum(self._upper, last.position), last.position, out=distances[1])
        np.subtract(last.position, np.minimum(self._lower, last.position), out=distances[2])
        np.subtract(upper, last.position, out=distances[3])
        np.subtract(last.position, lower, out=distances[4])
        np.maximum(distances, 0.0, out=distances)
        closing, limit_up, limit_down, up, down = first_step(distances / (dv * self._dt_s)) * dv
        slowest, fastest = last.velocity - dv, last.velocity + dv
        lowest = np.maximum(slowest, np.minimum(-down, fastest))
        highest = np.minimum(fastest, np.maximum(up, slowest))
        # Where the position limits disagree with anything, they win.
        lowest = np.minimum(np.maximum(lowest, -limit_down), limit_up)
        highest = np.maximum(np.minimum(highest, limit_up), -limit_down)
        return closing, lowest, highest

    def _walls(
        self, position: Vector, low: Vector | None, high: Vector | None
    ) -> tuple[Vector, Vector]:
        """The planned range within the position limits; where the arm lies outside, it is there.

        A speed may always go back to 0.
        """
        lower = self._lower if low is None else np.maximum(low, self._lower)
        upper = self._upper if high is None else np.minimum(high, self._upper)
        if self._any_speed:
            lower = np.where(self._speeds, np.minimum(lower, 0.0), lower)
            upper = np.where(self._speeds, np.maximum(upper, 0.0), upper)
        return np.minimum(lower, position), np.maximum(upper, position)

    def _move(self, velocity: Vector, target: Vector, lower: Vector, upper: Vector) -> Vector:
        last = self.motion
        position = last.position + velocity * self._dt_s
        # Rounding may leave the last step a few ulp outside.
        position = np.minimum(
            np.maximum(position, np.minimum(self._lower, last.position)),
            np.maximum(self._upper, last.position),
        )
        self.motion = Motion(position, velocity, target, lower, upper)
        return position

    def _flags(self) -> int:
        return int(_BITS @ self.acted.any(axis=1))
