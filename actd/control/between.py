"""Between the rows of a chunk: each joint its own way, all joints in one product.

- `hold`: the last row that was due; for grippers and other switches.
- `linear`: straight from row to row; the speed changes in steps, at the rows.
- `smooth`: Catmull-Rom: through every row, there with the slope between its two neighbours,
  so that speed is steady. Between two rows it may leave their range, by at most an eighth
  of the larger of the steps just before and just after.

The row before a chunk's first is taken to be the first, every row after its last the last.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Interpolation = Literal["hold", "linear", "smooth"]
Vector = NDArray[np.float64]

# How much the rows before, at, after and second after the moment count, as polynomials in the
# fraction x of a row that has passed: one line per power of x.
_ROWS_AROUND = (-1, 0, 1, 2)
_WEIGHTS: dict[Interpolation, tuple[tuple[float, float, float, float], ...]] = {
    "hold": ((0, 1, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    "linear": ((0, 1, 0, 0), (0, -1, 1, 0), (0, 0, 0, 0), (0, 0, 0, 0)),
    # Catmull-Rom: through every row, there with the slope between its two neighbours.
    "smooth": ((0, 1, 0, 0), (-0.5, 0, 0.5, 0), (1, -2.5, 2, -0.5), (-0.5, 1.5, -1.5, 0.5)),
}


class Between:
    """Interpolation between rows, each joint its own way.

    `offsets` are the rows around a moment that count for any of the joints.
    """

    def __init__(self, interpolation: tuple[Interpolation, ...]) -> None:
        kinds = sorted(set(interpolation))
        weights = np.array([_WEIGHTS[kind] for kind in kinds])  # kind, power, row
        powers, rows = weights.any(axis=(0, 2)), weights.any(axis=(0, 1))
        self.offsets: NDArray[np.intp] = np.array(_ROWS_AROUND, np.intp)[rows]
        self._powers = int(np.flatnonzero(powers)[-1]) + 1
        self._weights = np.ascontiguousarray(
            weights[:, : self._powers, rows].transpose(1, 0, 2).reshape(self._powers, -1)
        )
        self._kinds = len(kinds)
        self._kind_of = np.array([kinds.index(kind) for kind in interpolation])
        self._joints = np.arange(len(interpolation))

    def mix(
        self, passed: NDArray[np.floating], weights: Vector, rows: NDArray[np.float32]
    ) -> Vector:
        """The action (action_dim,) from `rows` (n, len(offsets), action_dim) of n chunks, of
        which the fraction `passed` (n,) of a row has passed and which count `weights` (n,).
        """
        powers = np.empty((self._powers, len(passed)))
        powers[0] = weights
        for power in range(1, self._powers):
            np.multiply(powers[power - 1], passed, out=powers[power])
        shares = (powers.T @ self._weights).reshape(len(passed), self._kinds, -1)
        per_kind = shares.transpose(1, 0, 2).reshape(self._kinds, -1) @ rows.reshape(
            -1, rows.shape[-1]
        )
        action: Vector = per_kind[self._kind_of, self._joints]
        return action
