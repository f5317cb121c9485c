"""The last function before the socket: what may be commanded next.

finite -> position -> velocity -> acceleration, per joint, against the last command. The
guard also brakes in time: it never takes up a velocity from which it could not come to
rest inside the position limits, nor one that would overshoot a target standing still.
Limits are in the joint's own unit, its unit/s and unit/s^2; every step is one control
period, so a skipped tick costs motion and never adds speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

import numpy as np
from numpy.typing import NDArray

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


class Guard:
    """Remembers the last command and its velocity; bounds the next one."""

    def __init__(self, limits: Limits, period_ns: int) -> None:
        self._limits = limits
        self._dt_s = period_ns / 1e9
        # In one period a velocity changes by at most this, in unit/s.
        self._dv = limits.acceleration * self._dt_s
        zeros = np.zeros_like(limits.lower)
        self.position: Vector = zeros
        self.velocity: Vector = zeros
        self._lower, self._upper = limits.lower, limits.upper
        self._last_target: Vector = zeros

    @property
    def at_rest(self) -> bool:
        """Whether the last command did not move."""
        return not self.velocity.any()

    def reset(self, position: Vector) -> None:
        """Start from `position` at rest: the measured pose, before the first command.

        An arm found outside its limits may stay there and move inwards, never further out.
        """
        self.position = np.array(position, dtype=np.float64)
        self.velocity = np.zeros_like(self.position)
        self._last_target = self.position
        self._set_walls()

    def step(self, target: Vector) -> tuple[Vector, int]:
        """The command for this period, (action_dim,), and the Flags that say what was limited.

        A target that is not finite brakes, with Flag.NON_FINITE: the caller must fault.
        """
        if not np.isfinite(target).all():
            return self.brake(), int(Flag.NON_FINITE)
        inside = np.minimum(np.maximum(target, self._limits.lower), self._limits.upper)
        flags = int(Flag.POSITION) if (inside != target).any() else 0

        wanted = (inside - self.position) / self._dt_s
        top = self._limits.velocity
        fast = np.minimum(np.maximum(wanted, -top), top)
        if (np.abs(wanted - fast) > 1e-9 * (1.0 + top)).any():
            flags |= Flag.VELOCITY

        reachable = self._reachable(fast, inside)
        if (np.abs(reachable - fast) > 1e-9 * (1.0 + top)).any():
            flags |= Flag.ACCELERATION
        self._last_target = inside
        return self._move(reachable), int(flags)

    def brake(self) -> Vector:
        """The command that loses speed as fast as the acceleration limit allows."""
        slower = np.sign(self.velocity) * np.maximum(np.abs(self.velocity) - self._dv, 0.0)
        self._last_target = self.position
        return self._move(slower)

    def _reachable(self, wanted: Vector, target: Vector) -> Vector:
        """`wanted` within the acceleration limit and with room left to stop."""
        dv = self._dv
        # Coming to rest at the target matters only as far as the target itself stands still:
        # a moving target is followed at its own speed plus what can still be braked.
        top = self._limits.velocity
        target_velocity = (target - self._last_target) / self._dt_s
        target_velocity = np.minimum(np.maximum(target_velocity, -top), top)
        error = target - self.position
        closing = self._stoppable(np.abs(error))
        wanted = np.where(
            error >= 0.0,
            np.minimum(wanted, np.maximum(target_velocity, 0.0) + closing),
            np.maximum(wanted, np.minimum(target_velocity, 0.0) - closing),
        )
        wanted = np.minimum(np.maximum(wanted, self.velocity - dv), self.velocity + dv)
        # The position limits come last: they are walls.
        room_up = self._stoppable(self._upper - self.position)
        room_down = self._stoppable(self.position - self._lower)
        return np.minimum(np.maximum(wanted, -room_down), room_up)

    def _stoppable(self, distance: Vector) -> Vector:
        """The largest velocity from which this and the following steps cover `distance`.

        Slowing by dv each period, n*dv covers dv*dt * (m+1)*(m/2 + f) with n = m + f, m whole.
        """
        unit = self._dv * self._dt_s
        steps = np.maximum(distance, 0.0) / unit
        whole = np.floor((np.sqrt(1.0 + 8.0 * steps) - 1.0) / 2.0)
        part = (steps - whole * (whole + 1.0) / 2.0) / (whole + 1.0)
        velocity: Vector = (whole + part) * self._dv
        return velocity

    def _move(self, velocity: Vector) -> Vector:
        position = self.position + velocity * self._dt_s
        # Rounding may leave the last step a few ulp outside.
        self.position = np.minimum(np.maximum(position, self._lower), self._upper)
        self.velocity = velocity
        self._set_walls()
        return self.position

    def _set_walls(self) -> None:
        self._lower = np.minimum(self._limits.lower, self.position)
        self._upper = np.maximum(self._limits.upper, self.position)
