"""The array types that annotations use everywhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
"""Float64 values; their docstrings give the shape."""
