"""The clock that plans are read by: slower than the real one while a limit acts.

A joint that cannot keep up must not leave the others to go on without it: the hand would leave
the planned path. So all joints wait together: the plan's clock slows down, early enough that
every joint can follow the path ahead within its limits. A chunk begins at the moment of its
observation on this clock, when the arm was where the observation shows it; time that was lost
before is lost for good, and nothing is caught up with.

The rate is bounded by every row ahead, from the path's velocities V (row to row, T apart):
- speed: the rate at which a joint's |V| reaches its velocity limit;
- bends: the rate at which a change of velocity D within m rows needs its acceleration limit a,
  rate^2 D = a m T. Bends that the limiter rounds off within `tolerance` do not count;
- lag: a joint that is slower than its plan has room for losing its lead until it is `_LAG`
  tolerances behind; then the plan is no faster than this joint;
- distance: a command that is away from the plan is waited for.
A row ahead allows a higher rate now by what can be lost until then, with half the acceleration
limit of the joints that move; the other half is left for the path's own bends.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.limits import Limits

# A command this far behind its plan, in time at full speed, slows the plan; this much more
# stops it.
_BEHIND_S = 0.05
_STOPPED_S = 0.20

# How far behind a joint may fall before the plan goes at its speed, in bends' tolerances.
_LAG = 10.0

# How long ago an observation may have been made for its moment to be known exactly.
_HISTORY_NS = 4_000_000_000
# Over how many rows a change of velocity is looked at.
_BENDS = (1, 2, 4, 8, 16, 32)


class _Segment(NamedTuple):
    """From `real_ns` on the clock showed `scaled_ns` and ran at `rate`."""

    real_ns: int
    scaled_ns: int
    rate: float


class _Bends(NamedTuple):
    """Pairs of rows of a path, `first` and `last` (n,), the change of velocity that the limits
    allow between them, and the one that counts as none, each (n, joints).
    """

    first: NDArray[np.intp]
    last: NDArray[np.intp]
    available: Vector
    free: Vector


class ScaledClock:
    """`now_ns` is the plan's time, `rate` how fast it ran in the last period, 0 to 1.

    `moves` (action_dim,): the joints that are waited for. `tolerance` (action_dim,): how far a
    bend of the path may be rounded off.
    """

    def __init__(
        self, limits: Limits, tolerance: Vector, moves: Vector, policy_hz: float, period_ns: int
    ) -> None:
        self._period_ns = period_ns
        self._dt_s = period_ns / 1e9
        self._row_s = 1.0 / policy_hz
        self._joints = np.flatnonzero(moves)
        self._velocity = limits.velocity[self._joints]
        self._acceleration = limits.acceleration[self._joints]
        self._step = np.sqrt(8.0 * self._acceleration * tolerance[self._joints])
        self._lag = _LAG * tolerance[self._joints]
        # A joint on its plan may be slower by as much as it makes good within a row, and by what
        # it makes good before it is too far behind.
        self._slack = self._acceleration * (self._row_s / 2 + self._dt_s) + np.sqrt(
            2.0 * self._acceleration * self._lag
        )
        self.now_ns = 0
        self.rate = 0.0
        self._due_ns = 0
        self._history: deque[_Segment] = deque(maxlen=_HISTORY_NS // period_ns)
        self._bends_of: dict[int, _Bends] = {}

    @staticmethod
    def rows_ahead(limits: Limits, policy_hz: float, most: int) -> int:
        """How many rows of the path must be known: those of a reversal at full speed."""
        reversal_s = float(np.max(2.0 * limits.velocity / limits.acceleration, initial=0.0))
        return min(most, int(np.ceil(reversal_s * policy_hz)) + 1)

    def scaled_ns(self, real_ns: int) -> int:
        """What the clock showed at a real time in the past; where that is not known, its oldest."""
        for real, chunk, rate in reversed(self._history):
            if real <= real_ns:
                return chunk + round(rate * (real_ns - real))
        return self._history[0].scaled_ns if self._history else self.now_ns

    def stand(self, due_ns: int) -> None:
        """The arm is not driven: the plan waits."""
        self._advance(due_ns, 0.0)

    def brake(self, due_ns: int, share: float) -> None:
        """The arm lost speed: `share` of it is left."""
        self._advance(due_ns, self.rate * share)

    def follow(
        self,
        due_ns: int,
        path: Vector,
        seam: int,
        behind: Vector,
        moving: Vector,
        *,
        most: float,
    ) -> None:
        """Go on along `path` (rows, action_dim) at the highest rate up to `most` that the limits
        allow, with the command `behind` (action_dim,) its plan and `moving` (action_dim,) at a
        velocity.
        """
        behind = behind[self._joints]
        late_s = float((np.abs(behind) / self._velocity).max(initial=0.0))
        waited = 1.0 - (late_s - _BEHIND_S) / _STOPPED_S
        most = max(0.0, min(most, waited))
        velocity = self._planned(path[:, self._joints], seam)
        if velocity.size and np.count_nonzero(np.abs(behind) > 1e-3 * self._lag):
            most = min(most, self._together(velocity[0], behind, moving[self._joints]))
        self._advance(due_ns, self._allowed(velocity, most))

    def _advance(self, due_ns: int, rate: float) -> None:
        history, begin_ns = self._history, self._due_ns
        if due_ns - begin_ns > 1.5 * self._period_ns:
            # Slots were skipped; the arm makes the step of one, and so does the plan.
            history.append(_Segment(begin_ns, self.now_ns, 0.0))
            begin_ns = due_ns - self._period_ns
        if not history or history[-1].rate != rate:
            history.append(_Segment(begin_ns, self.now_ns, rate))
        self.rate, self._due_ns = rate, due_ns
        # From the beginning of the stretch, so that rounding does not add up.
        self.now_ns = history[-1].scaled_ns + round(rate * (due_ns - history[-1].real_ns))

    def _planned(self, path: Vector, seam: int) -> Vector:
        """The velocities from row to row, (rows - 1, joints); across the seam as after it."""
        velocity: Vector = (path[1:] - path[:-1]) / self._row_s
        if 0 < seam <= len(velocity):
            velocity[seam - 1] = velocity[min(seam, len(velocity) - 1)]
        return velocity

    def _together(self, planned: Vector, behind: Vector, moving: Vector) -> float:
        """The highest rate at which no joint falls too far behind, each (joints,)."""
        way = np.sign(planned)
        left = np.sqrt(np.maximum(0.0, 1.0 - behind * way / self._lag))
        rates = (moving * way + left * self._slack) / np.maximum(np.abs(planned), 1e-9)
        return max(0.0, float(rates.min()))

    def _allowed(self, velocity: Vector, most: float) -> float:
        """The highest rate up to `most` for this path."""
        if not velocity.size:
            return most
        bends = self._bends(len(velocity))
        speed = np.abs(velocity)
        bend = np.abs(velocity[bends.last] - velocity[bends.first])
        binds = np.count_nonzero(speed > self._velocity) or np.count_nonzero(bend > bends.free)
        if not binds and self.rate >= most:
            return most
        # How much rate can be lost per second, row by row, by the joints that move then; and so,
        # squared, by how much the rate may be higher now than a later row allows.
        speed = np.maximum(speed, 1e-9)
        loss = (self._acceleration / speed).min(axis=1)
        rise = float(loss[0]) * self._dt_s
        if not binds:
            return min(most, self.rate + rise)
        until = self._row_s * (np.cumsum(loss) - loss)
        squared = float(((self._velocity / speed).min(axis=1) ** 2 + until).min())
        if bends.free.size:
            bend = np.maximum(bend, 1e-9)
            bent = self._step + np.sqrt(self._step**2 + 4.0 * bend * bends.available)
            highest = (bent / (2.0 * bend)).min(axis=1) ** 2 + until[bends.first]
            squared = min(squared, float(highest.min()))
        return float(min(most, squared**0.5, self.rate + rise))

    def _bends(self, rows: int) -> _Bends:
        """Which pairs of rows are compared in a path of this length."""
        known = self._bends_of.get(rows)
        if known is None:
            pairs = [(k, k + apart) for apart in _BENDS for k in range(rows - apart)]
            first = np.array([pair[0] for pair in pairs], np.intp)
            last = np.array([pair[1] for pair in pairs], np.intp)
            available = self._acceleration * ((last - first)[:, None] * self._row_s)
            known = _Bends(first, last, available, available + self._step)
            self._bends_of[rows] = known
        return known
