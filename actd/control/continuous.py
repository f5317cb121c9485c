"""Values of continuous joints: a place on a circle, of which the controller sees one turn after
the other.

Inside the controller a continuous joint's position goes on beyond a turn, so that the shortest
way between two values is their difference and means are means. `unwrap` takes measured values
and predictions in, `wrap` gives commands out as the policy was trained to give them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector


class ContinuousJoints:
    """`turn` (action_dim,): what a full turn is in the joint's unit; 0: it is no circle."""

    def __init__(self, turn: Vector) -> None:
        self._joints = np.flatnonzero(turn > 0)
        self._turn = turn[self._joints]
        self.any = bool(self._joints.size)

    def near(self, values: Vector, reference: Vector) -> Vector:
        """The same places (action_dim,), each in the turn that is nearest to `reference`."""
        if not self.any:
            return values
        values = np.array(values, dtype=np.float64)
        some = values[self._joints]
        turns = np.round((reference[self._joints] - some) / self._turn)
        values[self._joints] = some + turns * self._turn
        return values

    def unwrap(self, rows: NDArray[Any], reference: Vector) -> NDArray[Any]:
        """Rows (n, action_dim) without jumps from turn to turn, beginning near `reference`."""
        if not self.any:
            return rows
        rows = np.array(rows, dtype=np.float64)
        for joint, turn in zip(self._joints, self._turn, strict=True):
            rows[:, joint] = np.unwrap(rows[:, joint], period=turn)
            turns = np.round((reference[joint] - rows[0, joint]) / turn)
            rows[:, joint] += turns * turn
        return rows

    def wrap(self, values: Vector) -> Vector:
        """The same places (action_dim,) within half a turn of 0."""
        if not self.any:
            return values
        values = values.copy()
        some = values[self._joints]
        values[self._joints] = some - np.round(some / self._turn) * self._turn
        return values
