"""Read actd.yaml, and of its engine what can be told without loading it."""

from __future__ import annotations

from pathlib import Path

from actd import host
from actd.config import Config, check_policy, load, warnings
from actd.doctor.facts import CheckpointHere, Deployment, EngineHere, Gpu
from actd.engine.acceptance import tolerance_excess
from actd.engine.load import check_host, load_engine, missing, version_note
from actd.engine.manifest import Manifest, check_files, read_manifest
from actd.engine.reference import parity_here
from actd.errors import CheckpointError, ConfigError, EngineError

GPU_RUNTIMES = ("cuda", "ort-trt", "trt")


def read_deployment(path: Path) -> Deployment:
    """The deployment with every mistake in it. Raises nothing."""
    try:
        config = load(path)
    except ConfigError as error:
        return Deployment(str(path), errors=tuple(str(error).splitlines()))
    try:
        manifest = read_manifest(config.engine)
        check_files(config.engine, manifest)
        check_host(config.engine, manifest)
    except EngineError as error:
        return Deployment(str(path), config, engine_error=str(error))
    try:
        check_policy(config, manifest.spec, str(path))
    except ConfigError as error:
        return Deployment(str(path), config, errors=tuple(str(error).splitlines()))
    return Deployment(str(path), config, manifest, warnings=tuple(warnings(config, manifest)))


def run_engine(config: Config, manifest: Manifest, *, compute: bool) -> EngineHere:
    """The engine here: what its runtime lacks, and with `compute` its reference observations."""
    note = version_note(manifest)
    lacking = tuple(missing(manifest.runtime))
    if lacking or not compute:
        return EngineHere(lacking, note)
    try:
        engine = load_engine(config.engine, threads=config.process.inference.threads)
        try:
            parity = parity_here(engine, config.engine, manifest)
        finally:
            engine.close()
    except EngineError as error:
        return EngineHere((), note, error=str(error))
    return EngineHere((), note, parity, tolerance_excess(parity, manifest.reference_tolerance))


def read_checkpoint(path: str, manifest: Manifest | None) -> CheckpointHere:
    """A checkpoint, beside the one that the engine was built from."""
    try:
        from actd.policy.checkpoint import load_checkpoint
    except ImportError as error:
        return CheckpointHere(path, f"{error.name} is not installed; pip install 'actd[export]'")
    try:
        identity = load_checkpoint(path).identity()
    except CheckpointError as error:
        return CheckpointHere(path, str(error))
    except OSError as error:  # a folder that this user may not enter
        return CheckpointHere(path, f"{path}: cannot be read ({error.strerror})")
    return CheckpointHere(
        path, same=None if manifest is None else identity == manifest.source.identity
    )


def read_gpu() -> Gpu | None:
    """The first NVIDIA GPU, None where no driver answers."""
    facts = host.gpu_facts("name", "driver_version", "temperature.gpu")
    if facts is None:
        return None
    name, driver, celsius = facts
    return Gpu(name, driver, float(celsius) if celsius.isdecimal() else None)
