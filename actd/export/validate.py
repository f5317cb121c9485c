"""Compares a model file with torch, through the runtime that will run it where that can be had.

Raises ParityError, an EngineError, when the engine is further from torch than its recipe allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.control.chunks import ACT_COEFF
from actd.control.ensembling import ensemble
from actd.engine.base import Observation
from actd.engine.load import missing, open_engine
from actd.engine.manifest import Manifest
from actd.engine.recipe import Recipe
from actd.engine.reference import tolerance_excess
from actd.engine.verify import Parity, compare
from actd.errors import EngineError
from actd.export.job import Job

EVERYWHERE = "ort"
"""The runtime that every computer has, and that judges for those it has not."""


@dataclass(frozen=True, slots=True)
class Validation:
    """An engine's chunks beside torch's, (N, chunk, joints), and how far they are apart."""

    found: NDArray[np.float32]
    reference: NDArray[np.float32]
    parity: Parity
    ensembled: Parity | None
    judged_with: str


class ParityError(EngineError):
    """An engine further from torch than its recipe allows, with what was found."""

    def __init__(self, message: str, validation: Validation) -> None:
        super().__init__(message)
        self.validation = validation


def validate(manifest: Manifest, folder: Path, job: Job) -> Validation:
    """Run the model in `folder` on the verdict's frames. Raises EngineError."""
    found, runtime = chunks(manifest, folder, job.validation_frames.observations)
    parity = compare(found, job.reference, manifest.action_std)
    return Validation(found, job.reference, parity, _ensembled(found, manifest, job), runtime)


def chunks(
    manifest: Manifest, folder: Path, observations: Sequence[Observation]
) -> tuple[NDArray[np.float32], str]:
    """Chunks (N, chunk, joints) of the model in `folder`, and the runtime that computed them."""
    runtime = manifest.runtime if not missing(manifest.runtime) else EVERYWHERE
    stand_in = manifest.model_copy(update={"runtime": runtime})
    with closing(open_engine(folder, stand_in)) as engine:
        return np.stack([engine.infer(observation) for observation in observations]), runtime


def require(validation: Validation, recipe: Recipe, source: str) -> None:
    """Raise ParityError unless the recipe allows these errors."""
    if excess := tolerance_excess(validation.parity, recipe.tolerance):
        advice = "use ort-fp32" if source != "synthetic" else "give --calibration or use ort-fp32"
        raise ParityError(
            f"{recipe.name}: refused, too far from torch: {excess} from {source}; {advice}",
            validation,
        )


def _ensembled(found: NDArray[np.float32], manifest: Manifest, job: Job) -> Parity | None:
    """Errors after temporal ensembling, over every run of consecutive frames."""
    if not job.validation_frames.runs:
        return None
    coeff = manifest.spec.temporal_ensemble_coeff
    coeff = ACT_COEFF if coeff is None else coeff

    def actions(chunks: NDArray[np.float32]) -> NDArray[np.float32]:
        runs = [ensemble(chunks[start:stop], coeff) for start, stop in job.validation_frames.runs]
        return np.concatenate(runs)[:, None, :].astype(np.float32)

    return compare(actions(found), actions(job.reference), manifest.action_std)
