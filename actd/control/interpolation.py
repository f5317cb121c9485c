"""Between the rows of a chunk: each joint its own way, all joints in a few products.

- `hold`: the last row that was due; for grippers and other switches.
- `linear`: straight from row to row; the speed changes in steps, at the rows.
- `smooth`: the uniform cubic B-spline of the rows: speed and acceleration change steadily. It
  passes a row at a sixth of the bend there, and never leaves the range of the rows around.

Each of them is a weighted mean of rows, so nothing is ever commanded beyond what was planned.
The row before a chunk's first is taken to be the first, every row after its last the last.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector

Interpolation = Literal["hold", "linear", "smooth"]
# How much the rows before, at, after and second after the moment count, as polynomials in the
# fraction x of a row that has passed: one line per power of x.
_ROWS_AROUND = (-1, 0, 1, 2)
_WEIGHTS: dict[Interpolation, tuple[tuple[float, float, float, float], ...]] = {
    "hold": ((0, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    "linear": ((0, 1, 0, 0), (0, -1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    "smooth": (
        (1 / 6, 4 / 6, 1 / 6, 0),
        (-1 / 2, 0, 1 / 2, 0),
        (1 / 2, -1, 1 / 2, 0),
        (-1 / 6, 1 / 2, -1 / 2, 1 / 6),
    ),
}


class Interpolator:
    """Interpolation between rows, each joint its own way.

    `offsets` are the rows around a moment that count for any of the joints, without a gap.
    """

    def __init__(self, interpolation: tuple[Interpolation, ...]) -> None:
        kinds = sorted(set(interpolation))
        weights = np.array([_WEIGHTS[kind] for kind in kinds])  # kind, power, row
        powers, rows = weights.any(axis=(0, 2)), weights.any(axis=(0, 1))
        self.offsets: NDArray[np.intp] = np.array(_ROWS_AROUND, np.intp)[rows]
        self._powers = int(np.flatnonzero(powers)[-1]) + 1
        # One line per power of x; in it, the kinds of each row.
        self._weights = np.ascontiguousarray(
            weights[:, : self._powers, rows].transpose(1, 2, 0).reshape(self._powers, -1)
        )
        self._kinds = len(kinds)
        self._kind_of = np.array([kinds.index(kind) for kind in interpolation])
        self._joints = np.arange(len(interpolation))

    def mix(self, passed: Vector, weights: Vector, rows: Vector) -> tuple[Vector, Vector]:
        """Actions at one moment and a whole number of rows after it, (ahead, action_dim), and the
        weighted mean of `rows` themselves, (rows, action_dim).

        From `rows` (n, ahead + len(offsets) - 1, action_dim) of n chunks, which begin at
        `offsets[0]`; of each chunk the fraction `passed` (n,) of a row has passed and it counts
        `weights` (n,).
        """
        count, length, joints = rows.shape
        ahead = length - len(self.offsets) + 1
        powers = np.empty((self._powers, count))
        powers[0] = weights
        for power in range(1, self._powers):
            np.multiply(powers[power - 1], passed, out=powers[power])
        shares = powers.T @ self._weights
        sums = (shares.T @ rows.reshape(count, -1)).reshape(-1, self._kinds, length, joints)
        per_kind, mean = sums[0, :, :ahead], sums[0, 0]
        for place in range(1, len(self.offsets)):
            per_kind = per_kind + sums[place, :, place : place + ahead]
            # The shares of all places together are the weight of the chunk.
            mean = mean + sums[place, 0]
        if self._kinds == 1:
            return per_kind[0], mean
        actions: Vector = per_kind[self._kind_of, :, self._joints].T
        return actions, mean
