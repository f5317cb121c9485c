"""Distances of predicted from recorded actions, per joint and per step of a chunk.

Pure numpy. A step beyond the end of its episode has no recorded action and does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector


@dataclass(frozen=True, slots=True)
class Distance:
    """Mean absolute (L1) and mean squared (L2) distances, in physical units.

    `l1`, `l2` (joints,) over all steps that count; `l1_by_step`, `l2_by_step` (steps, joints), NaN
    for a step that never counts. `steps_counted` of `steps` predicted rows had a recorded action.
    """

    l1: Vector
    l2: Vector
    l1_by_step: Vector
    l2_by_step: Vector
    steps_counted: int
    steps: int

    def l1_std(self, std: Vector) -> float:
        """L1 over all joints, each in its standard deviations: LeRobot's loss without padding."""
        return float((self.l1 / std).mean())

    def l2_std(self, std: Vector) -> float:
        """L2 over all joints, each in its standard deviations."""
        return float((self.l2 / std**2).mean())

    def lerobot_l1_loss(self, std: Vector) -> float:
        """`l1_loss` as LeRobot logged it before #3442: padded steps are zeros in the mean."""
        return self.l1_std(std) * self.steps_counted / self.steps


def targets(actions: NDArray[np.float32], rows: Sequence[int], chunk: int) -> Vector:
    """The recorded actions (T, joints) that chunks made at `rows` predict: (N, chunk, joints).

    NaN beyond the end of the episode.
    """
    length, joints = actions.shape
    due = np.asarray(rows, dtype=np.int64)[:, None] + np.arange(chunk)
    result: Vector = np.full((len(due), chunk, joints), np.nan)
    inside = due < length
    result[inside] = actions[due[inside]]
    return result


def distance(predicted: NDArray[Any], truth: NDArray[Any]) -> Distance:
    """Distances of `predicted` from `truth`, both (N, steps, joints).

    Rows of `truth` that are not finite do not count. A prediction that is not finite is
    infinitely far. Raises ValueError on shapes that differ or when nothing counts.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise ValueError(
            f"need two equal (N, steps, joints), found {predicted.shape}, {truth.shape}"
        )
    counts = np.isfinite(truth).all(axis=2)
    if not counts.any():
        raise ValueError("no recorded action for any prediction")
    target = np.where(counts[..., None], truth, 0.0).astype(np.float64)
    error = np.abs(np.where(np.isfinite(predicted), predicted, np.inf).astype(np.float64) - target)
    error = np.where(counts[..., None], error, 0.0)
    by_step = counts.sum(axis=0)
    sums = [part.sum(axis=0) for part in (error, error**2)]
    each = [_means(part, by_step) for part in sums]
    steps_counted = int(by_step.sum())
    return Distance(
        l1=sums[0].sum(axis=0) / steps_counted,
        l2=sums[1].sum(axis=0) / steps_counted,
        l1_by_step=each[0],
        l2_by_step=each[1],
        steps_counted=steps_counted,
        steps=counts.size,
    )


def _means(sums: Vector, by_step: NDArray[np.int64]) -> Vector:
    means: Vector = np.full_like(sums, np.nan)
    means[by_step > 0] = sums[by_step > 0] / by_step[by_step > 0, None]
    return means
