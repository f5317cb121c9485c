"""Draws observations that look statistically like a checkpoint's data.

For parity, benchmarks and calibration without recorded data. They have the right
shapes, means and spreads and show nothing real: what is measured on them says how
an engine computes, not how a policy behaves. Cannot fail on a checked checkpoint.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.policy.checkpoint import Checkpoint
from actd.policy.normalization import Statistics, moments
from actd.policy.spec import Feature


def synthetic(checkpoint: Checkpoint, *, count: int, seed: int) -> list[dict[str, NDArray[Any]]]:
    """Random observations with the statistics of the checkpoint; the same for the same seed."""
    random = np.random.Generator(np.random.PCG64(seed))
    return [
        {f.key: _draw(f, checkpoint.statistics[f.key], random) for f in checkpoint.spec.inputs}
        for _ in range(count)
    ]


def _draw(feature: Feature, statistics: Statistics, random: np.random.Generator) -> NDArray[Any]:
    size = feature.shape[0]
    unknown = (np.full(size, 0.5), np.full(size, 0.25))
    if feature.kind != "VISUAL":
        unknown = (np.zeros(size), np.ones(size))
    mean, std = moments(statistics) or unknown
    if feature.kind != "VISUAL":
        return (mean + std * random.standard_normal(size)).astype(np.float32)
    height, width, _ = feature.boundary_shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    image = np.zeros((height, width, 3), np.float32)
    for _ in range(6):
        fx, fy = random.uniform(-25, 25, 2)
        phase = random.uniform(0, 2 * math.pi)
        colour = random.standard_normal(3, dtype=np.float32) * 0.5
        image += np.sin(fx * x + fy * y + phase)[..., None] * colour
    image += 0.25 * random.standard_normal(image.shape, dtype=np.float32)
    drawn: NDArray[np.uint8] = np.clip(255 * (mean + std * image), 0, 255).astype(np.uint8)
    return drawn
