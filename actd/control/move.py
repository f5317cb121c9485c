"""A move to a pose: straight in joint space, from rest to rest, all joints together.

The share of the way that is done follows the polynomial 10 x^3 - 15 x^4 + 6 x^5, whose speed and
acceleration begin and end at 0: of all ways from rest to rest it has the least jerk. It takes as
long as the slowest joint needs for that within its limits. Its steps are differences of this
polynomial, so they keep the limits at any rate, and as it comes to rest by itself at the goal
within them the limiter passes it unchanged.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector
from actd.control.limits import Limits
from actd.control.tick import Progress

# The largest speed and acceleration of the polynomial.
_SPEED = 15 / 8
_ACCELERATION = 10 / 3**0.5
_PERIODS_MAX = 10**9


class Move:
    """From `begin` to `goal`, each (action_dim,); `low`, `high`: the range that it keeps to.

    It goes on by a period with every step: a slot that is skipped costs time and adds no speed.
    """

    def __init__(self, begin: Vector, goal: Vector, limits: Limits, period_ns: int) -> None:
        self._begin, self._goal = begin, goal
        self._period_ns = period_ns
        self.low: Vector = np.minimum(begin, goal)
        self.high: Vector = np.maximum(begin, goal)
        way = self.high - self.low
        slowest_s = np.maximum(
            _SPEED * way / limits.velocity, np.sqrt(_ACCELERATION * way / limits.acceleration)
        )
        periods = np.ceil(slowest_s.max(initial=0.0) * 1e9 / period_ns)
        self._periods = int(min(max(periods, 1.0), _PERIODS_MAX))
        self._done = 0

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        left = max(0, self._periods - self._done)
        return Progress(self._share(), left * self._period_ns)

    @property
    def over_ns(self) -> int | None:
        """For how long the goal has been commanded; None: it has not yet been."""
        over = self._done - self._periods
        return over * self._period_ns if over >= 0 else None

    def step(self) -> Vector:
        """What is to be commanded in the next period, (action_dim,)."""
        self._done += 1
        share = self._share()
        target: Vector = self._begin + share * (self._goal - self._begin)
        # The goal itself, to the last bit.
        return self._goal if share == 1.0 else target

    def _share(self) -> float:
        x = min(1.0, self._done / self._periods)
        return x * x * x * (10.0 - x * (15.0 - 6.0 * x))
