"""Arms that are known exactly: dead time, then a first-order lag."""

from __future__ import annotations

import numpy as np

from actd.arrays import Vector


def lagged(times_s: Vector, command: Vector, lag_s: float) -> Vector:
    """A first-order lag's exact answer to a command that is linear between `times_s`."""
    out = np.empty_like(command)
    out[0] = command[0]
    dt = times_s[1] - times_s[0]
    keep = np.exp(-dt / lag_s)
    rise = lag_s / dt * (1 - keep)
    for k in range(1, len(command)):
        out[k] = keep * out[k - 1] + (rise - keep) * command[k - 1] + (1 - rise) * command[k]
    return out
