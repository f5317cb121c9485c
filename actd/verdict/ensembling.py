"""Temporal ensembling of recorded chunks: what the arm would be told, tick by tick.

Pure numpy; the weights are the daemon's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actd.control.plan import ensemble_weights

DEFAULT_COEFF = 0.01


def ensemble(chunks: NDArray[np.float32], coeff: float = DEFAULT_COEFF) -> NDArray[np.float64]:
    """Actions (T, joints) from the chunks (T, chunk, joints) of T consecutive frames.

    At frame t every chunk that reaches it counts, the oldest first in the weights.
    """
    length, rows, joints = chunks.shape
    actions = np.empty((length, joints))
    for t in range(length):
        oldest = max(0, t - rows + 1)
        made = np.arange(oldest, t + 1)
        actions[t] = ensemble_weights(coeff, len(made)) @ chunks[made, t - made]
    return actions
