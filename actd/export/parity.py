"""The parity report of one build: its errors against torch and their context.

Plain data from a manifest and two arrays of chunks; the source of `parity.json`, of the page and
of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.engine.acceptance import AddedError
from actd.engine.manifest import Manifest
from actd.engine.verify import Parity, joint_std
from actd.report.record import save_json

KIND = "actd export"
PARITY_JSON = "parity.json"
PAGE = "parity.html"


@dataclass(frozen=True, slots=True)
class WorstSample:
    """The frame, joint and step of the largest error, and both chunks of that joint, (chunk,)."""

    frame: int
    joint: int
    step: int
    engine: Vector
    torch: Vector


@dataclass(frozen=True, slots=True)
class ParityReport:
    """An engine's chunks and torch's `reference`, (N, chunk, joints), and their differences.

    `added`: what the engine adds to the policy's own error, None without recorded actions.
    `frames` is the source of the N observations; `rejection` is why the engine was refused, empty
    if it was not.
    """

    manifest: Manifest
    chunks: NDArray[np.float32]
    reference: NDArray[np.float32]
    parity: Parity
    added: AddedError | None
    validation_runtime: str
    frames: str
    joints: tuple[str, ...]
    rejection: str = ""

    @property
    def std(self) -> Vector:
        """Each joint's standard deviation (joints,); 1 where it is unknown or 0."""
        return joint_std(self.manifest.action_std, len(self.joints))

    @property
    def error(self) -> Vector:
        """Absolute error of every value, (N, chunk, joints), physical units."""
        error = np.abs(self.chunks.astype(np.float64) - self.reference)
        return np.where(np.isfinite(error), error, np.inf)

    def by_step(self) -> tuple[Vector, Vector]:
        """Mean and largest error of each step of a chunk over all joints, in std, (chunk,)."""
        error = self.error / self.std
        return error.mean(axis=(0, 2)), error.max(axis=(0, 2))

    def worst_first(self) -> list[int]:
        """Joints, the one with the largest error in standard deviations first."""
        each = self.parity.per_joint
        return sorted(range(len(each)), key=lambda joint: each[joint].max_std, reverse=True)

    def sample(self) -> WorstSample:
        """Where the error is largest in standard deviations."""
        worst = int(np.argmax(self.error / self.std))
        frame, step, joint = (int(i) for i in np.unravel_index(worst, self.error.shape))
        return WorstSample(
            frame,
            joint,
            step,
            self.chunks[frame, :, joint].astype(np.float64),
            self.reference[frame, :, joint].astype(np.float64),
        )

    def to_dict(self) -> dict[str, Any]:
        """The content of `parity.json`."""
        manifest, (mean, largest), sample = self.manifest, self.by_step(), self.sample()
        return {
            "engine": manifest.engine,
            "runtime": manifest.runtime,
            "precision": manifest.precision,
            "passed": not self.rejection,
            "refused": self.rejection or None,
            "tolerance": manifest.recipe.tolerance.model_dump(exclude_none=True),
            "added_error": self.added and asdict(self.added),
            "validation_runtime": self.validation_runtime,
            "frames": {"source": self.frames, "count": len(self.chunks)},
            "joint_std": dict(zip(self.joints, manifest.action_std or (), strict=False)) or None,
            "error": {
                "observations": self.parity.observations,
                **figures(self.parity, self.joints, self.std),
            },
            "error_by_step_std": {"mean": mean, "max": largest},
            "worst_sample": {
                "frame": sample.frame,
                "joint": self.joints[sample.joint],
                "step": sample.step,
                "engine": sample.engine,
                "torch": sample.torch,
            },
            "calibration": manifest.calibration and manifest.calibration.model_dump(),
            "source": manifest.source.model_dump(),
            "built": manifest.built.model_dump(),
        }

    def save(self, file: Path) -> None:
        """Write the JSON file. Raises UsageError if another file is in the way."""
        save_json(self.to_dict(), file, KIND)


def figures(parity: Parity, joints: Sequence[str], std: Vector) -> dict[str, Any]:
    """Errors of all joints and of each, in physical units and in their `std` (joints,)."""
    return {
        "worst_joint": joints[parity.worst_joint],
        "p99_std": parity.p99_std,
        "max_std": parity.max_std,
        "per_joint": {
            name: {
                "mean": error.mean,
                "p99": error.p99,
                "max": error.max,
                "mean_std": error.mean / float(unit),
                "p99_std": error.p99_std,
                "max_std": error.max_std,
            }
            for name, error, unit in zip(joints, parity.per_joint, std, strict=True)
        },
    }
