"""An observation to time engines on. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.policy.spec import PolicySpec


def any_observation(spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """Noise images and zero vectors: the time of an inference does not depend on values."""
    random = np.random.Generator(np.random.PCG64(0))
    return {
        f.key: random.integers(0, 256, f.boundary_shape, np.uint8)
        if f.kind == "VISUAL"
        else np.zeros(f.shape, np.float32)
        for f in spec.inputs
    }
