"""Errors of an engine's actions against torch's: statistics per joint and overall.

Pure numpy: arrays in, a frozen Parity out. Raises ValueError on shapes that do not match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector


@dataclass(frozen=True, slots=True)
class JointError:
    """Absolute error of one joint, in physical units and in its standard deviations."""

    max: float
    p99: float
    mean: float
    max_std: float
    p99_std: float


@dataclass(frozen=True, slots=True)
class Parity:
    """Errors of an engine over some observations; `max`, `p99`, `mean` are the worst joint's.

    `worst_joint` is the joint with the largest error in standard deviations.
    """

    observations: int
    max: float
    p99: float
    mean: float
    worst_joint: int
    per_joint: tuple[JointError, ...]

    @property
    def max_std(self) -> float:
        """Largest error of any joint, in standard deviations."""
        return max(joint.max_std for joint in self.per_joint)

    @property
    def p99_std(self) -> float:
        """Largest 99th percentile of any joint, in standard deviations."""
        return max(joint.p99_std for joint in self.per_joint)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


def joint_std(std: Sequence[float] | None, joints: int) -> Vector:
    """What the errors of each joint are divided by, (joints,); 1 where it is unknown or 0."""
    unit = np.ones(joints) if std is None else np.asarray(std, dtype=np.float64)
    return np.where(unit > 0, unit, 1.0)


def compare(
    actual: NDArray[np.float32], expected: NDArray[np.float32], std: Sequence[float] | None
) -> Parity:
    """Errors of `actual` against `expected`, both (observations, chunk, joints).

    `std` is each joint's standard deviation in physical units; None or 0 counts as 1.
    A value that is not finite is an infinite error.
    """
    if actual.shape != expected.shape or actual.ndim != 3 or actual.size == 0:
        raise ValueError(
            f"need two equal (observations, chunk, joints), found {actual.shape} "
            f"and {expected.shape}"
        )
    error = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    error = np.where(np.isfinite(error), error, np.inf).reshape(-1, actual.shape[2])
    unit = joint_std(std, actual.shape[2])
    largest, mean = error.max(axis=0), error.mean(axis=0)
    p99 = np.percentile(error, 99, axis=0, method="higher")
    joints = tuple(
        JointError(*map(float, values))
        for values in zip(largest, p99, mean, largest / unit, p99 / unit, strict=True)
    )
    worst = int(np.argmax(largest / unit))
    return Parity(
        observations=actual.shape[0],
        max=joints[worst].max,
        p99=joints[worst].p99,
        mean=joints[worst].mean,
        worst_joint=worst,
        per_joint=joints,
    )
