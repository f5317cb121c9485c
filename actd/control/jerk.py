"""The jerk limit, for the joints that have one.

Speed changes gradually in both directions: a change of speed is taken up only as far as it
can be taken back, step by step, before a limit is reached. Towards a place (a position limit,
a target) the speed follows d = v^2 / 2a + v T, which ends in an exponential approach; with
T = 2 a / j + 3 periods following it needs only a part of the jerk limit, and the rest is left
for meeting it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from actd.control.descent import first_step

if TYPE_CHECKING:
    from actd.control.guard import Limits, Motion

Vector = NDArray[np.float64]

# The share of the jerk limit with which a change of speed is planned to be taken back.
_SHARE = 0.5
# The fraction of the largest speed that counts as none.
_REST = 1e-12


class JerkLimit:
    """Bounds how the change of velocity changes; remembers nothing.

    Takes limits per joint (action_dim,), inf for none; `joints` are the indices that have one.
    """

    def __init__(self, limits: Limits, dt_s: float) -> None:
        self.joints: NDArray[np.intp] = np.flatnonzero(np.isfinite(limits.jerk))
        self._dt_s = dt_s
        self._top = limits.velocity[self.joints]
        self._acceleration = limits.acceleration[self.joints]
        self._dv = self._acceleration * dt_s
        self._ddv = limits.jerk[self.joints] * dt_s**2
        self._settling_s = 2.0 * self._acceleration / limits.jerk[self.joints] + 3.0 * dt_s

    def follow(self, velocity: Vector, last: Motion, target_velocity: Vector) -> None:
        """Bound the velocities (action_dim,) in place, on the way to a moving target."""
        some = self.joints
        now, position, moving = last.velocity[some], last.position[some], target_velocity[some]
        # Catch up with where the target was, and follow as it moves.
        offset = last.target[some] - position
        side = np.sign(offset)
        ahead = side * (now - last.target_velocity[some])
        room_up, room_down = last.upper[some] - position, position - last.lower[some]
        places = np.stack((np.abs(offset), np.maximum(room_up, 0.0), np.maximum(room_down, 0.0)))
        closing, up, down = self._approach(places, np.stack((ahead, now, -now)))
        caught_up = np.minimum(ahead + closing, np.abs(offset) / self._dt_s)
        change = moving + side * caught_up - now
        fastest, slowest = self._taken_back(np.stack((self._top - now, self._top + now)))
        change = np.minimum(change, np.minimum(up, fastest))
        change = np.maximum(change, -np.minimum(down, slowest))
        velocity[some] = now + self._bounded(change, last)

    def brake(self, velocity: Vector, last: Motion) -> None:
        """Set in place the velocities (action_dim,) on the way to rest."""
        now = last.velocity[self.joints]
        change = -np.sign(now) * first_step(np.abs(now) / self._ddv) * self._ddv
        slower = now + self._bounded(change, last)
        # Rounding may leave the last step a trace of speed.
        velocity[self.joints] = np.where(np.abs(slower) < _REST * self._top, 0.0, slower)

    def _bounded(self, change: Vector, last: Motion) -> Vector:
        before = last.change[self.joints]
        change = np.minimum(np.maximum(change, -self._dv), self._dv)
        return np.minimum(np.maximum(change, before - self._ddv), before + self._ddv)

    def _approach(self, distance: Vector, speed: Vector) -> Vector:
        """The largest next change of a speed towards places at `distance`."""
        a, settling_s = self._acceleration, self._settling_s
        largest = a * (np.sqrt(settling_s**2 + 2.0 * distance / a) - settling_s)
        # How much less the largest speed will be after this period.
        falls = speed * self._dt_s / (largest / a + settling_s)
        return self._taken_back(largest - speed) - falls

    def _taken_back(self, gap: Vector) -> Vector:
        """The largest change of speed that can be taken back to none over `gap`."""
        step = _SHARE * self._ddv
        return np.sign(gap) * first_step(np.abs(gap) / step) * step
