"""How features are normalised: the modes, the statistics they need, the arithmetic.

Owns the rule that nothing runs un-normalised by accident: statistics that a mode
asks for and that are missing, of another size or not finite are a CheckpointError
that names file and key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.policy.files import refusal
from actd.policy.spec import Feature

EPS = 1e-8

Statistics = Mapping[str, NDArray[np.float32]]

# What each mode needs, as (lower, upper) of its affine map.
MODE_STATISTICS: Mapping[str, tuple[str, ...]] = {
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
    "IDENTITY": (),
}
_RANGES = (("min", "max"), ("q01", "q99"), ("q10", "q90"))
IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


@dataclass(frozen=True, slots=True)
class Normalization:
    """How every feature is normalised, keyed by the names that the user supplies.

    `modes` has one of MODE_STATISTICS for each input and the action; `statistics`
    holds every usable statistic that the files have for them, vectors (D,), cameras (3,).
    `eps` guards divisions: added to a std, and to a range (`eps_added`) or in place of
    a range of exactly 0. `renamed` maps the trained name of an input to the supplied one.
    """

    modes: Mapping[str, str]
    statistics: Mapping[str, Statistics]
    eps: float = EPS
    eps_added: bool = False
    renamed: Mapping[str, str] = field(default_factory=dict)


def moments(statistics: Statistics) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Mean and standard deviation, from ranges where there is nothing else: a quarter of one."""
    if "mean" in statistics and "std" in statistics:
        return statistics["mean"], statistics["std"]
    for low, high in _RANGES:
        if low in statistics and high in statistics:
            middle = (statistics[low] + statistics[high]) / 2
            return middle, (statistics[high] - statistics[low]) / 4
    return None


def is_imagenet(statistics: Statistics) -> bool:
    """Whether a camera's statistics are ImageNet's, in any order of the channels."""
    return all(
        stat in statistics
        and statistics[stat].shape == (3,)
        and np.allclose(np.sort(statistics[stat]), np.sort(values), atol=5e-4)
        for stat, values in IMAGENET.items()
    )


def known_mode(file: Path, key: str, mode: object) -> str | None:
    """`mode` as one of MODE_STATISTICS, whatever its case. Raises CheckpointError."""
    if mode is None:
        return None
    name = str(mode).upper()
    if name not in MODE_STATISTICS:
        raise refusal(file, key, f"{mode!r}", f"use one of {', '.join(MODE_STATISTICS)}")
    return name


def filled(modes: Mapping[str, str | None], file: Path) -> tuple[dict[str, str], tuple[str, ...]]:
    """IDENTITY where no mode was given, which is how LeRobot trained it, and notes that say so."""
    notes = tuple(
        f"{file}: {key}: no normalisation mode, so raw values, as it was trained"
        for key, mode in modes.items()
        if mode is None
    )
    return {key: mode or "IDENTITY" for key, mode in modes.items()}, notes


def checked(file: Path, prefix: str, feature: Feature, mode: str, every: Statistics) -> Statistics:
    """The usable statistics of one feature; those that `mode` needs must be among them.

    `every` holds flat arrays by statistic; `prefix` + statistic is their name in `file`.
    """
    size = feature.shape[0]
    for stat in MODE_STATISTICS[mode]:
        _check(file, prefix + stat, every.get(stat), size, f"{feature.key} is {mode}")
    if mode == "MEAN_STD" and (every["std"] < 0).any():
        raise refusal(file, f"{prefix}std", "a negative value", "recompute the statistics")
    for low, high in _RANGES:
        ends = [every[stat] for stat in (low, high) if stat in every and every[stat].size == size]
        if len(ends) == 2 and (ends[0] > ends[1]).any():
            raise refusal(file, prefix + low, f"above {high}", "recompute the statistics")
    return {
        stat: values
        for stat, values in every.items()
        if values.shape == (size,) and np.isfinite(values).all()
    }


def _check(file: Path, key: str, values: NDArray[np.float32] | None, size: int, why: str) -> None:
    remedy = f"{why} and needs it; save the checkpoint with its dataset's statistics"
    if values is None:
        raise refusal(file, key, "missing", remedy)
    if values.shape != (size,):
        raise refusal(file, key, f"{values.size} values", f"need {size}; {remedy}")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        never = " (inf: never filled in)" if np.isinf(values).any() else ""
        raise refusal(file, key, f"{bad} of {size} values not finite{never}", remedy)


def affine(
    mode: str, statistics: Statistics, size: int, eps: float, eps_added: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """(offset, divisor, shift) float64 with normalised = (x - offset) / divisor + shift.

    Pass `eps` 0 for the inverse, x = (y - shift) * divisor + offset.
    """
    if mode == "IDENTITY":
        return np.zeros(size), np.ones(size), 0.0
    low, high = (statistics[name].astype(np.float64) for name in MODE_STATISTICS[mode])
    if mode == "MEAN_STD":
        return low, high + eps, 0.0
    span = high - low
    span = span + eps if eps_added else np.where(span == 0, eps, span)
    return low, span / 2, -1.0
