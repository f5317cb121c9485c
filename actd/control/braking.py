"""How fast may something be, to come to rest in time.

The arithmetic of the limiter, in steps of one period: no limits, no joints, no memory.
"""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector


def first_step(total: Vector) -> Vector:
    """The largest first step of a descent by 1 per step, down to rest, that sums to `total`.

    A descent from m + f (m whole, 0 <= f < 1) takes m + 1 steps and sums to
    (m + 1) * (m / 2 + f). Elementwise; `total` >= 0.
    """
    whole = np.floor((np.sqrt(1.0 + 8.0 * total) - 1.0) / 2.0)
    part = (total - whole * (whole + 1.0) / 2.0) / (whole + 1.0)
    step: Vector = whole + part
    return step
