"""Statistics as LeRobotDataset keeps them: per feature, per episode and over all episodes.

min, max, mean, std, count and five quantiles. Images are counted per channel in [0, 1],
on every few pixels of a large one. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.datasets.paths import Image

Stats = Mapping[str, NDArray[Any]]
"""Statistic -> (dim,), or (3, 1, 1) for images; `count` is (1,)."""

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}

_LARGE_PX, _KEPT_PX = 300, 150


def vector_stats(values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Statistics of the rows of `values`, (n, dim)."""
    exact = values.astype(np.float64)
    quantiles = np.quantile(exact, list(QUANTILES.values()), axis=0, method="inverted_cdf")
    return {
        "min": values.min(axis=0),
        "max": values.max(axis=0),
        "mean": exact.mean(axis=0),
        "std": exact.std(axis=0),
        "count": np.array([len(values)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


class ImageStats:
    """Counts how often each value occurs in each channel of the images added to it."""

    def __init__(self) -> None:
        self._histogram: NDArray[np.int64] = np.zeros((3, 256), np.int64)
        self._images = 0

    def add(self, image: Image) -> None:
        """Count one image."""
        height, width = image.shape[:2]
        step = 1
        if max(height, width) >= _LARGE_PX:
            # Rounded down on the longer side, as LeRobot thins its images.
            step = int((width if width > height else height) / _KEPT_PX)
        for channel in range(3):
            values = image[::step, ::step, channel].ravel()
            self._histogram[channel] += np.bincount(values, minlength=256)
        self._images += 1

    def result(self) -> dict[str, NDArray[Any]]:
        """The statistics, each (3, 1, 1)."""
        levels = np.arange(256) / 255.0
        share = self._histogram / self._histogram.sum(axis=1, keepdims=True)
        mean = share @ levels
        std = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0.0))
        below = self._histogram.cumsum(axis=1)
        seen = [np.flatnonzero(channel) for channel in self._histogram]
        statistics = {
            "min": levels[[values[0] for values in seen]],
            "max": levels[[values[-1] for values in seen]],
            "mean": mean,
            "std": std,
        }
        for name, quantile in QUANTILES.items():
            statistics[name] = levels[(below >= quantile * below[:, -1:]).argmax(axis=1)]
        return {
            **{name: value.reshape(3, 1, 1) for name, value in statistics.items()},
            "count": np.array([self._images]),
        }


def combine(parts: Sequence[Stats]) -> dict[str, NDArray[Any]]:
    """Statistics of all parts together; quantiles are their means, weighted by count."""
    counts = np.array([int(part["count"][0]) for part in parts], dtype=np.float64)
    weights = counts / counts.sum()

    def weighted(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.tensordot(weights, np.stack(values), axes=1)

    mean = weighted([part["mean"] for part in parts])
    variance = weighted([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    known = [name for name in QUANTILES if all(name in part for part in parts)]
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([int(counts.sum())]),
        **{name: weighted([part[name] for part in parts]) for name in known},
    }
