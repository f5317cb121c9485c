"""Temporal ensembling of recorded chunks: what the arm would be told, tick by tick.

Pure numpy; the weights are the daemon's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actd.control.chunks import DEFAULT_COEFF, ensemble_weights, fade


def ensemble(
    chunks: NDArray[np.float32],
    coeff: float = DEFAULT_COEFF,
    *,
    made_at: Sequence[int] | NDArray[np.int64] | None = None,
    ticks: int | None = None,
) -> NDArray[np.float64]:
    """Actions (ticks, joints) from chunks (N, chunk, joints).

    `made_at` are the rising ticks whose frames the chunks answer, by default 0, 1, 2, ...; `ticks`
    defaults to one per chunk. At every tick each chunk that reaches it counts, the oldest first
    in the weights, and is faded in from the tick that made it. NaN where no chunk reaches.
    """
    count, rows, joints = chunks.shape
    made = np.arange(count) if made_at is None else np.asarray(made_at)
    gaps = np.diff(made, prepend=made[:1]).astype(np.float64)
    gaps[gaps >= rows] = 0.0  # the one before was over
    gaps[:-1] = np.where(gaps[:-1] > 0.0, gaps[:-1], gaps[1:])
    actions = np.full((count if ticks is None else ticks, joints), np.nan)
    for tick in range(len(actions)):
        reaching = np.flatnonzero((made <= tick) & (made > tick - rows))
        if reaching.size:
            predicted = chunks[reaching, tick - made[reaching]]
            younger = (made[reaching] - made[reaching[0]]).astype(np.float64)
            age = (tick - made[reaching]).astype(np.float64)
            shares = fade(np.minimum(age, rows - age), gaps[reaching])
            weights = ensemble_weights(coeff, younger) * shares
            actions[tick] = weights @ predicted / weights.sum()
    return actions
