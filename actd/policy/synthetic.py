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
from actd.policy.normalization import Statistics
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
    mean, std = _moments(statistics, size, 0.5 if feature.kind == "VISUAL" else 0.0)
    if feature.kind != "VISUAL":
        return (mean + std * random.standard_normal(size)).astype(np.float32)
    height, width, _ = feature.boundary_shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    picture = np.zeros((height, width, 3), np.float32)
    for _ in range(6):
        fx, fy = random.uniform(-25, 25, 2)
        phase = random.uniform(0, 2 * math.pi)
        colour = random.standard_normal(3, dtype=np.float32) * 0.5
        picture += np.sin(fx * x + fy * y + phase)[..., None] * colour
    picture += 0.25 * random.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(255 * (mean + std * picture), 0, 255).astype(np.uint8)


def _moments(statistics: Statistics, size: int, centre: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Mean and std from whatever statistics there are."""
    if "mean" in statistics and "std" in statistics:
        return statistics["mean"], statistics["std"]
    for low, high in (("min", "max"), ("q01", "q99"), ("q10", "q90")):
        if low in statistics and high in statistics:
            middle = (statistics[low] + statistics[high]) / 2
            return middle, (statistics[high] - statistics[low]) / 4
    return np.full(size, centre), np.full(size, 0.25 if centre else 1.0)
