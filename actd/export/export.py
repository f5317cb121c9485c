"""Build engines from a checkpoint: export, quantise, compare with torch, publish.

Reads a checkpoint and recorded frames; writes `OUT/<engine>/` with the model, its manifest
and a few reference observations. An engine is built in a scratch folder and moved into place
once it has passed, so a failed or interrupted build changes nothing.
Raises EngineError when an engine cannot be built or is less exact than its recipe demands.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from actd import host
from actd.engine.manifest import (
    BuildInfo,
    Manifest,
    RecordedParity,
    SourceCheckpoint,
    record_file,
    write_manifest,
)
from actd.engine.recipe import Recipe, Tolerance, load_recipe, recipe_names
from actd.engine.reference import REFERENCE, write_reference
from actd.engine.verify import compare
from actd.errors import EngineError
from actd.export.choose import ALIASES, choose
from actd.export.formats import MODELS, make
from actd.export.job import Job, Report
from actd.export.lerobot_policy import write_policy_files
from actd.export.parity import ParityReport
from actd.export.parity_files import publish_parity, publish_rejection, remove_rejection
from actd.export.publish import check_place, publish, scratch_folder
from actd.export.validate import ParityError, Validation, require, validate
from actd.policy.checkpoint import load_checkpoint
from actd.policy.hub import revision_of
from actd.policy.overrides import Overrides
from actd.report.joints import joint_names

_REFERENCES = 4
# Runtimes and CPUs round in another order, so errors on the same observations are not the same.
_REFERENCE_SLACK = 2.0


@dataclass(frozen=True, slots=True)
class Result:
    """One engine that was built and passed."""

    folder: Path
    manifest: Manifest
    validation: Validation
    parity_report: ParityReport

    @property
    def engine(self) -> str:
        """The recipe's name."""
        return self.manifest.engine


def export_checkpoint(
    checkpoint_path: str | Path,
    out_dir: str | Path,
    engines: Sequence[str],
    calibration: str | Path | None = None,
    report: Report = lambda line: None,
    *,
    overrides: Overrides | None = None,
) -> list[Result]:
    """Build `engines` from a checkpoint into `out_dir/<engine>/`.

    `engines` are recipes by name or path, or aliases (actd.export.choose), of which the best engine
    is kept. `calibration` is the source of recorded frames (actd.export.calibration). `report` gets
    one line per step. `overrides` supply what the checkpoint does not contain. Raises
    CheckpointError, UsageError or EngineError; engines built before a failing one stay.
    """
    if not engines:
        raise EngineError(f"no engine requested; use one of {', '.join(recipe_names())}")
    targets = [
        engine if engine in ALIASES else load_recipe(engine) for engine in dict.fromkeys(engines)
    ]
    out = Path(out_dir)
    try:
        checkpoint = load_checkpoint(checkpoint_path, overrides)
        report(f"recognised {checkpoint.recognised}")
        for note in checkpoint.notes:
            report(f"note: {note}")
        for warning in checkpoint.warnings:
            report(f"warning: {warning}")
        with scratch_folder(out) as scratch:
            job = Job(checkpoint, overrides or Overrides(), calibration, scratch, report)
            return [_make(engine, job, scratch, out) for engine in targets]
    except ModuleNotFoundError as error:
        raise EngineError(f"export needs {error.name}; pip install 'actd[export]'") from None
    except ImportError as error:
        raise EngineError(f"export: {error.name} cannot be imported ({error})") from None


def _make(engine: str | Recipe, job: Job, scratch: Path, out: Path) -> Result:
    """Build and publish one engine, or the best engine of an alias."""
    name = engine if isinstance(engine, str) else engine.name
    build_folder = scratch / name
    build_folder.mkdir()
    if isinstance(engine, str):
        result = choose(engine, lambda recipe: _build(recipe, job, build_folder), job)
    else:
        check_place(out / name)  # before minutes of work
        result = _build_or_report(engine, job, build_folder, out)
    place = out / result.engine
    publish(result.folder, place)
    remove_rejection(out, result.engine)
    return replace(result, folder=place)


def _build_or_report(recipe: Recipe, job: Job, scratch: Path, out: Path) -> Result:
    """Build an engine, or write the parity report of a refused one to `out`."""
    try:
        return _build(recipe, job, scratch)
    except ParityError as error:
        manifest = _draft(_effective_recipe(recipe, job), job)
        parity_report = _parity_report(manifest, job, error.validation, str(error))
        report_file = publish_rejection(parity_report, out)[-1]
        raise EngineError(f"{error}; the errors are in {report_file}") from None


def _effective_recipe(recipe: Recipe, job: Job) -> Recipe:
    return recipe.on_synthetic() if job.synthetic else recipe


def _build(recipe: Recipe, job: Job, scratch: Path) -> Result:
    """Build and validate one engine in `scratch`. Raises ParityError or another EngineError."""
    recipe = _effective_recipe(recipe, job)
    folder = scratch / recipe.name
    folder.mkdir()
    manifest = _draft(recipe, job)
    chosen = _reference_frames(job)
    write_reference(folder, job.validation_frames.observations[chosen], job.reference[chosen])
    manifest = manifest.model_copy(update={"calibration": make(manifest, job, folder)})
    validation = validate(manifest, folder, job)
    require(validation, recipe, job.validation_frames.source)
    manifest = manifest.model_copy(
        update={
            "files": tuple(record_file(folder / name) for name in (manifest.model, REFERENCE)),
            "parity": _recorded_parity(recipe, job, validation),
        }
    )
    write_manifest(folder, manifest)
    write_policy_files(folder, manifest.spec)
    parity_report = _parity_report(manifest, job, validation)
    publish_parity(parity_report, folder)
    verdict = f"{validation.added.text}; " if validation.added else ""
    job.report(
        f"{recipe.name}: {manifest.size_bytes / 1e6:.1f} MB, {verdict}error against torch at most "
        f"{validation.parity.max:.2g} (joint {validation.parity.worst_joint}, "
        f"{validation.parity.max_std:.2g} std)"
    )
    return Result(folder, manifest, validation, parity_report)


def _parity_report(
    manifest: Manifest, job: Job, validation: Validation, rejection: str = ""
) -> ParityReport:
    """The parity report of a build; `rejection` is why the engine was refused, if it was."""
    return ParityReport(
        manifest=manifest,
        chunks=validation.chunks,
        reference=validation.reference,
        parity=validation.parity,
        added=validation.added,
        validation_runtime=validation.validation_runtime,
        frames=job.validation_frames.source,
        joints=joint_names(job.spec, job.source),
        rejection=rejection,
    )


def _recorded_parity(recipe: Recipe, job: Job, validation: Validation) -> RecordedParity:
    return RecordedParity(
        source=job.validation_frames.source,
        validation_runtime=validation.validation_runtime,
        statistics=validation.parity,
        added=validation.added,
        tolerance=recipe.tolerance.model_dump(exclude_none=True),
        on_reference=_on_reference(recipe, job, validation),
        passed=True,
    )


def _on_reference(recipe: Recipe, job: Job, validation: Validation) -> Tolerance | None:
    """The tolerance on the reference observations, None where the recipe's applies to any.

    What an engine adds to the policy's error cannot be told from a few observations. That it
    computes on another computer what it did here can: its errors are then about the same.
    """
    if validation.added is None or recipe.tolerance.added_error is None:
        return None
    chosen = _reference_frames(job)
    here = compare(validation.chunks[chosen], job.reference[chosen], job.checkpoint.action_std())
    tolerance = recipe.tolerance
    return Tolerance(
        max_std=max(tolerance.max_std, _REFERENCE_SLACK * here.max_std),
        p99_std=max(tolerance.p99_std, _REFERENCE_SLACK * here.p99_std),
    )


def _reference_frames(job: Job) -> slice:
    """Those validation frames that stay with the engine."""
    return slice(None, None, max(1, len(job.validation_frames) // _REFERENCES))


def _draft(recipe: Recipe, job: Job) -> Manifest:
    """The manifest before there are files and a parity record."""
    checkpoint, demonstrations = job.checkpoint, job.demonstrations
    training = checkpoint.training
    if demonstrations is not None and training.robot_type is None:
        training = replace(training, robot_type=demonstrations.robot_type)
    model, flags = host.cpu()
    return Manifest(
        engine=recipe.name,
        runtime=recipe.runtime,
        precision=recipe.precision,
        model=MODELS.get(recipe.graph, "model.onnx"),
        files=(),
        spec=job.spec,
        action_std=checkpoint.action_std(),
        recipe=recipe,
        source=SourceCheckpoint(
            path=str(checkpoint.path),
            revision=revision_of(checkpoint.folder),
            weights_sha256=checkpoint.weights_sha256,
            identity=checkpoint.identity(),
            overrides=job.overrides.given(),
        ),
        training=training,
        motion=None if demonstrations is None else demonstrations.motion,
        warnings=checkpoint.warnings,
        built=BuildInfo(
            actd=host.version("actd"),
            torch=host.version("torch"),
            onnx=host.version("onnx"),
            onnxruntime=host.onnxruntime_version(),
            openvino=host.version("openvino"),
            cpu=model,
            cpu_flags=flags,
            platform=platform.platform(),
            utc=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        ),
        calibration=None,
        parity=None,
    )
