"""Load an engine folder, after checking that it may run on this host.

Owns the table from a manifest's runtime to the module that runs it, and the checks
of the host that an engine's arithmetic depends on. Raises EngineError.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from actd import host
from actd.engine.base import Engine
from actd.engine.manifest import Manifest, check_files, read_manifest
from actd.engine.reference import check_reference
from actd.errors import EngineError

# Runtime -> the module whose `load(folder, manifest, threads, spin)` returns an Engine and whose
# `missing(runtime)` lists what this computer lacks for it, each with its remedy.
RUNTIMES = {
    "torch": "actd.engine.torch_runtime",
    "ort": "actd.engine.ort",
    "openvino": "actd.engine.openvino",
    "cuda": "actd.engine.ort_gpu",
    "ort-trt": "actd.engine.ort_gpu",
    "trt": "actd.engine.tensorrt.runtime",
}


# Those that do not judge themselves when they are loaded.
_UNJUDGED = ("torch", "ort", "openvino")


def missing(runtime: str) -> list[str]:
    """What this computer lacks to run engines of `runtime`, each with its remedy."""
    if runtime not in RUNTIMES:
        return [f"runtime {runtime!r} is unknown; build the engine again with actd export"]
    problems: list[str] = import_module(RUNTIMES[runtime]).missing(runtime)
    return problems


def load_engine(
    folder: str | Path, *, threads: int | None = None, spin: bool = False, judge: bool = False
) -> Engine:
    """Verify the engine in `folder` and load it.

    `threads` is the CPU threads to compute on (None: the runtime chooses); `spin` lets them
    wait actively, which is faster on cores of their own and harmful on shared ones. `judge`
    compares it on this computer with torch's answers in its folder, as engines for GPUs always do.
    Raises EngineError when the engine is damaged, of another format, or not for this host.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    check_host(folder, manifest)
    if manifest.runtime not in RUNTIMES:
        raise EngineError(
            f"{folder}: runtime: {manifest.runtime!r} is unknown; rebuild with: {manifest.rebuild}"
        )
    engine = open_engine(folder, manifest, threads=threads, spin=spin)
    if judge and manifest.runtime in _UNJUDGED:
        check_reference(engine, folder, manifest)
    return engine


def open_engine(
    folder: Path, manifest: Manifest, *, threads: int | None = None, spin: bool = False
) -> Engine:
    """Load the model in `folder` as `manifest` says, unverified. Raises EngineError."""
    module = import_module(RUNTIMES[manifest.runtime])
    engine: Engine = module.load(folder, manifest, threads, spin)
    return engine


def version_note(manifest: Manifest) -> str | None:
    """One line if the runtime's version is not the one that the engine was verified with."""
    build = manifest.built
    versions = {
        "ort": ("onnxruntime", build.onnxruntime, host.onnxruntime_version()),
        "openvino": ("openvino", build.openvino, host.version("openvino")),
        "torch": ("torch", build.torch, host.version("torch")),
    }
    package, built_version, running_version = versions.get(manifest.runtime, ("", None, None))
    if built_version in {None, running_version}:
        return None
    return (
        f"{manifest.engine}: verified with {package} {built_version}, running on {running_version}"
    )


def check_host(folder: Path, manifest: Manifest) -> None:
    """Raise EngineError for full-range 8-bit weights where the CPU's 8-bit sums would saturate."""
    calibration = manifest.calibration
    if manifest.recipe.graph != "u8s8" or calibration is None or calibration.form == "weights":
        return
    if calibration.reduce_range or not host.is_x86():
        return
    model, flags = host.cpu()
    if not host.VNNI_FLAGS & set(flags):
        raise EngineError(
            f"{folder}: built for a CPU with VNNI ({manifest.built.cpu}), which {model} lacks: "
            f"8-bit sums would saturate; rebuild here with: {manifest.rebuild}"
        )
