"""The forms a model file can have: a table from a recipe's `graph` to what writes it.

Each maker writes into the folder it is given and tells, for 8-bit forms, how ranges were
measured. Raises EngineError when no attempt is within the recipe's tolerance.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from actd.build import quantize
from actd.build.job import Job
from actd.build.judge import judge, require
from actd.engine.manifest import Calibration, Manifest
from actd.engine.recipe import Graph
from actd.errors import EngineError

MODELS: dict[str, str] = {"pt2": "model.pt2"}
"""Name of the model file where it is not `model.onnx`."""

Maker = Callable[[Manifest, Job, Path], Calibration | None]


def make(manifest: Manifest, job: Job, folder: Path) -> Calibration | None:
    """Write the model file of `manifest` into `folder`."""
    return _FORMS[manifest.recipe.graph](manifest, job, folder)


def _float32(manifest: Manifest, job: Job, folder: Path) -> None:
    shutil.copyfile(job.float_model, folder / manifest.model)


def _int8(manifest: Manifest, job: Job, folder: Path) -> Calibration:
    """Quantise, keeping more layers float from attempt to attempt until one is exact enough."""
    recipe = manifest.recipe
    settings = recipe.quantization
    if settings is None:
        raise EngineError(f"{recipe.name}: quantization: missing; mend the recipe")
    if job.source is None:
        job.report(
            f"{recipe.name}: no calibration data, ranges are measured on {settings.synthetic} "
            "synthetic observations; for a robot give recorded ones with --calibration"
        )
    frames = job.calibration(settings.frames if job.source else settings.synthetic)
    refused: EngineError | None = None
    for attempt in settings.attempts:
        what = " and ".join(attempt.operators)
        kept = f", {', '.join(attempt.keep_float)} kept float" if attempt.keep_float else ""
        job.report(f"{recipe.name}: quantise {what} on {len(frames)} observations{kept}")
        quantize.quantize(
            job.float_model, folder / manifest.model, frames.observations, attempt, settings.method
        )
        try:
            require(judge(manifest, folder, job), recipe, job.verdict.source)
        except EngineError as error:
            refused = error
            job.report(str(error))
            continue
        return Calibration(
            source=frames.source,
            frames=len(frames),
            method=settings.method,
            reduce_range=quantize.needs_reduce_range(),
            attempt=attempt,
        )
    raise refused or EngineError(f"{recipe.name}: quantization.attempts: none; mend the recipe")


_FORMS: dict[Graph, Maker] = {
    "fp32": _float32,
    "u8s8": _int8,
}
