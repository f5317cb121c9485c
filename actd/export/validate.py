"""Compare a model file with torch, through the engine's own runtime if this computer has it.

Raises ParityError, an EngineError, when the engine is further from torch than its recipe allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.engine.acceptance import AddedError, tolerance_excess
from actd.engine.base import Observation
from actd.engine.distance import distance
from actd.engine.load import missing, open_engine
from actd.engine.manifest import Manifest
from actd.engine.recipe import Recipe
from actd.engine.verify import Parity, compare, joint_std
from actd.errors import EngineError
from actd.export.job import Job

FALLBACK_RUNTIME = "ort"
"""The runtime that every computer has, used to validate for those that it lacks."""


@dataclass(frozen=True, slots=True)
class Validation:
    """An engine's chunks and torch's `reference`, (N, chunk, joints), and their differences.

    `added`: what the engine adds to the policy's own error, None without recorded actions.
    """

    chunks: NDArray[np.float32]
    reference: NDArray[np.float32]
    parity: Parity
    added: AddedError | None
    validation_runtime: str


class ParityError(EngineError):
    """An engine is further from torch than its recipe allows; has the validation."""

    def __init__(self, message: str, validation: Validation) -> None:
        super().__init__(message)
        self.validation = validation


def validate(manifest: Manifest, folder: Path, job: Job) -> Validation:
    """Run the model in `folder` on the validation frames. Raises EngineError."""
    actual, runtime = chunks(manifest, folder, job.validation_frames.observations)
    parity = compare(actual, job.reference, manifest.action_std)
    return Validation(actual, job.reference, parity, _added(actual, manifest, job), runtime)


def chunks(
    manifest: Manifest, folder: Path, observations: Sequence[Observation]
) -> tuple[NDArray[np.float32], str]:
    """Chunks (N, chunk, joints) of the model in `folder`, and the runtime that computed them."""
    runtime = manifest.runtime if not missing(manifest.runtime) else FALLBACK_RUNTIME
    stand_in = manifest.model_copy(update={"runtime": runtime})
    with closing(open_engine(folder, stand_in)) as engine:
        return np.stack([engine.infer(observation) for observation in observations]), runtime


def require(validation: Validation, recipe: Recipe, source: str) -> None:
    """Raise ParityError unless the recipe allows these errors."""
    if excess := tolerance_excess(validation.parity, recipe.tolerance, validation.added):
        advice = "give --calibration or use " if source == "synthetic" else "use "
        advice += "openvino-bf16 or ort-fp32" if recipe.precision == "int8" else "ort-fp32"
        raise ParityError(
            f"{recipe.name}: refused, too far from torch: {excess} from {source}; {advice}",
            validation,
        )


def _added(actual: NDArray[np.float32], manifest: Manifest, job: Job) -> AddedError | None:
    """What the engine adds to the policy's own error, None without recorded actions."""
    recorded = job.validation_frames.recorded
    if recorded is None:
        return None
    std = joint_std(manifest.action_std, actual.shape[2])
    policy, engine = (
        distance(chunks, recorded.actions).l1_std(std) for chunks in (job.reference, actual)
    )
    return AddedError(policy, engine, recorded.episodes, unseen=recorded.unseen)
