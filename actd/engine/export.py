"""Builds engines from a checkpoint: export, quantise, compare with torch, record, publish.

Reads a checkpoint and, for 8-bit engines, observations; writes `OUT/<engine>/` with
the model and its manifest. An engine is built in a folder beside its place and moved
there whole once it has passed, so a failed or interrupted build changes nothing.
Raises EngineError when an engine cannot be built or is less exact than its recipe asks.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.engine import host, quantize
from actd.engine.base import Observation
from actd.engine.manifest import (
    Built,
    Calibration,
    Manifest,
    Source,
    Verdict,
    record_file,
    write_manifest,
)
from actd.engine.observations import read, spread
from actd.engine.ort import OUTPUT, OrtEngine
from actd.engine.publish import publish, scratch_folder
from actd.engine.quiet import quiet
from actd.engine.recipe import Quantization, Recipe, load_recipe, recipe_names
from actd.engine.trt import require
from actd.engine.verify import Parity, compare
from actd.errors import EngineError
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.hints import Hints

MODEL = "model.onnx"
PARITY_OBSERVATIONS = 6

_CALIBRATION_SEED = 1
_PARITY_SEED = 2

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """One engine that was built and passed."""

    engine: str
    folder: Path
    size_bytes: int
    parity: Parity


@dataclass(frozen=True, slots=True)
class _Job:
    """What every engine of one export shares."""

    checkpoint: Checkpoint
    given: tuple[Observation, ...]
    given_from: str
    parity_on: tuple[Observation, ...]
    parity_from: str
    reference: NDArray[np.float32]
    float_model: Path
    report: Report


def export_checkpoint(
    checkpoint_path: str | Path,
    out_dir: str | Path,
    engines: Sequence[str],
    calibration: Path | None = None,
    report: Report = lambda line: None,
    *,
    hints: Hints | None = None,
) -> list[Result]:
    """Build `engines` from a checkpoint into `out_dir/<engine>/`.

    `calibration` is an .npz file, or a folder of them, of observations. `report` is given
    one line per step. `hints` answer what the checkpoint does not say of itself. Raises
    CheckpointError, UsageError or EngineError; engines built before a failing one stay.
    """
    if not engines:
        raise EngineError(f"no engine asked for; use one of {', '.join(recipe_names())}")
    recipes = [recipe_for(name) for name in dict.fromkeys(engines)]
    try:
        checkpoint = load_checkpoint(checkpoint_path, hints)
        return _export(checkpoint, Path(out_dir), recipes, calibration, report)
    except ImportError as error:
        raise EngineError(f"export needs {error.name}: pip install 'actd[export]'") from None


def _export(
    checkpoint: Checkpoint,
    out: Path,
    recipes: Sequence[Recipe],
    calibration: Path | None,
    report: Report,
) -> list[Result]:
    report(f"recognised {checkpoint.recognised}")
    for note in checkpoint.notes:
        report(f"note: {note}")
    given = read(calibration, checkpoint.spec) if calibration else []
    with scratch_folder(out) as scratch:
        opset = max(recipe.opset for recipe in recipes)
        float_model = scratch / "float" / MODEL
        float_model.parent.mkdir()
        report(f"export {checkpoint.folder} to ONNX")
        write_onnx(checkpoint, float_model, opset)
        job = _prepare(checkpoint, given, str(calibration), float_model, report)
        return [_build(recipe, job, scratch, out) for recipe in recipes]


def recipe_for(name: str) -> Recipe:
    """The recipe of an engine that can be built here. Raises EngineError."""
    if name.split("-", maxsplit=1)[0] == "trt":
        require()
    return load_recipe(name)


def _prepare(
    checkpoint: Checkpoint,
    given: Sequence[Observation],
    given_from: str,
    float_model: Path,
    report: Report,
) -> _Job:
    """What is the same for every engine; torch's answers are computed once."""
    from actd.policy.network import Policy
    from actd.policy.synthetic import synthetic

    policy = Policy(checkpoint)
    if given:
        # from the end, so that few of these have calibrated the ranges too
        parity_on, parity_from = spread(given[::-1], PARITY_OBSERVATIONS), given_from
    else:
        parity_on = list(synthetic(checkpoint, count=PARITY_OBSERVATIONS, seed=_PARITY_SEED))
        parity_from = "synthetic"
    return _Job(
        checkpoint=checkpoint,
        given=tuple(given),
        given_from=given_from,
        parity_on=tuple(parity_on),
        parity_from=parity_from,
        reference=np.stack([policy.infer(observation) for observation in parity_on]),
        float_model=float_model,
        report=report,
    )


def write_onnx(checkpoint: Checkpoint, file: Path, opset: int) -> None:
    """Write the policy as one ONNX file whose inputs bear the feature names."""
    import torch

    from actd.policy.network import Policy
    from actd.policy.synthetic import synthetic

    policy = Policy(checkpoint)
    example = synthetic(checkpoint, count=1, seed=0)[0]
    keys = [feature.key for feature in checkpoint.spec.inputs]
    with quiet():
        torch.onnx.export(
            policy,
            tuple(torch.from_numpy(example[key]) for key in keys),
            str(file),
            input_names=keys,
            output_names=[OUTPUT],
            opset_version=opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _build(recipe: Recipe, job: _Job, scratch: Path, out: Path) -> Result:
    """Build, judge and publish one engine."""
    folder = scratch / recipe.name
    folder.mkdir()
    calibration, parity = _MAKE[recipe.precision](recipe, job, folder / MODEL)
    manifest = _manifest(recipe, job, folder, calibration, parity)
    write_manifest(folder, manifest)
    publish(folder, out / recipe.name)
    job.report(
        f"{recipe.name}: {manifest.size_bytes / 1e6:.1f} MB, error against torch at most "
        f"{parity.max:.2g} (joint {parity.worst_joint}, {parity.max_std:.2g} std)"
    )
    return Result(recipe.name, out / recipe.name, manifest.size_bytes, parity)


def _make_float(recipe: Recipe, job: _Job, file: Path) -> tuple[None, Parity]:
    shutil.copyfile(job.float_model, file)
    return None, _judge(recipe, job, file)


def _make_int8(recipe: Recipe, job: _Job, file: Path) -> tuple[Calibration, Parity]:
    """Quantise, keeping more layers float from attempt to attempt until one is exact enough."""
    settings = recipe.quantization
    if settings is None:
        raise EngineError(f"{recipe.name}: quantization: missing; mend the recipe")
    observations, source = _calibration_data(recipe.name, settings, job)
    refused: EngineError | None = None
    for attempt in settings.attempts:
        what = " and ".join(attempt.operators)
        kept = f", {', '.join(attempt.keep_float)} kept float" if attempt.keep_float else ""
        job.report(f"{recipe.name}: quantise {what} on {len(observations)} observations{kept}")
        quantize.quantize(job.float_model, file, observations, attempt, settings.method)
        try:
            parity = _judge(recipe, job, file)
        except EngineError as error:
            refused = error
            job.report(str(error))
            continue
        return Calibration(
            source=source,
            frames=len(observations),
            method=settings.method,
            reduce_range=quantize.needs_reduce_range(),
            attempt=attempt,
        ), parity
    raise refused or EngineError(f"{recipe.name}: quantization.attempts: none; mend the recipe")


def _calibration_data(
    name: str, settings: Quantization, job: _Job
) -> tuple[list[Observation], str]:
    from actd.policy.synthetic import synthetic

    if job.given:
        return spread(job.given, settings.frames), job.given_from
    job.report(
        f"{name}: no calibration data, ranges are measured on {settings.synthetic} "
        "synthetic observations; for a robot give recorded ones with --calibration"
    )
    drawn = synthetic(job.checkpoint, count=settings.synthetic, seed=_CALIBRATION_SEED)
    return list(drawn), "synthetic"


# Precision -> what writes and judges the model file; 8-bit ones tell how they were calibrated.
_MAKE: dict[str, Callable[[Recipe, _Job, Path], tuple[Calibration | None, Parity]]] = {
    "fp32": _make_float,
    "int8": _make_int8,
}


def _judge(recipe: Recipe, job: _Job, file: Path) -> Parity:
    """Compare the built model with torch. Raises EngineError beyond the recipe's tolerance."""
    engine = OrtEngine(file, recipe.name, job.checkpoint.spec, None, False)
    try:
        found = np.stack([engine.infer(observation) for observation in job.parity_on])
    finally:
        engine.close()
    parity = compare(found, job.reference, action_std(job.checkpoint))
    allowed = recipe.tolerance
    # negated, so that an error that is not a number fails too
    if not (parity.max_std <= allowed.max_std and parity.p99_std <= allowed.p99_std):
        raise EngineError(
            f"{recipe.name}: refused, too far from torch: worst joint {parity.worst_joint} is off "
            f"by {parity.max:.3g} ({parity.max_std:.3g} std, allowed {allowed.max_std:g}), "
            f"p99 {parity.p99_std:.3g} std (allowed {allowed.p99_std:g}) on {parity.observations} "
            f"{job.parity_from} observations; give more --calibration data or use ort-fp32"
        )
    return parity


def action_std(checkpoint: Checkpoint) -> tuple[float, ...] | None:
    """Each joint's standard deviation in physical units, None when the checkpoint has none.

    Where only a range is known, a quarter of it stands in.
    """
    statistics = checkpoint.statistics[checkpoint.spec.action.key]
    if "std" in statistics:
        return tuple(float(v) for v in statistics["std"])
    for low, high in (("min", "max"), ("q01", "q99"), ("q10", "q90")):
        if low in statistics and high in statistics:
            return tuple(float(v) / 4 for v in statistics[high] - statistics[low])
    return None


def _manifest(
    recipe: Recipe, job: _Job, folder: Path, calibration: Calibration | None, parity: Parity
) -> Manifest:
    model, flags = host.cpu()
    return Manifest(
        engine=recipe.name,
        runtime=recipe.runtime,
        precision=recipe.precision,
        model=MODEL,
        files=(record_file(folder / MODEL),),
        spec=job.checkpoint.spec.to_dict(),
        action_std=action_std(job.checkpoint),
        recipe=recipe,
        source=Source(
            path=str(job.checkpoint.folder), weights_sha256=job.checkpoint.weights_sha256
        ),
        built=Built(
            actd=host.version("actd"),
            torch=host.version("torch"),
            onnx=host.version("onnx"),
            onnxruntime=host.onnxruntime_version(),
            cpu=model,
            cpu_flags=flags,
            platform=platform.platform(),
            utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ),
        calibration=calibration,
        parity=Verdict(
            source=job.parity_from,
            statistics=parity,
            tolerance=recipe.tolerance.model_dump(),
            passed=True,
        ),
    )
