"""Engines built for a benchmark, cached until any of their inputs changes.

Reads a checkpoint; writes `actd/bench/<checkpoint>/<engine>/` in the user's cache folder, where
`<checkpoint>` is a hash of its files. Beside each engine lies a hash of its other inputs: the
recipe, the code that builds it, and the versions of the packages that the code uses.
Raises CheckpointError when there is nothing to build from.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import actd
from actd import host
from actd.engine.cache import cache_root
from actd.engine.manifest import read_manifest
from actd.engine.recipe import recipe_file
from actd.errors import ActdError, EngineError
from actd.export.publish import scratch_folder
from actd.hashing import sha256
from actd.policy.files import WEIGHTS
from actd.policy.locate import locate
from actd.policy.overrides import Overrides

Report = Callable[[str], None]

DEFAULT_CAMERAS = {"cam_high": (480, 640), "cam_low": (480, 640)}

_STATISTICS = (".json", ".safetensors", ".pkl")
_CODE = ("export", "policy")
_PACKAGES = ("torch", "onnx", "onnxscript", "onnxruntime")


@dataclass(frozen=True)
class CheckpointSource:
    """The checkpoint that engines are built from."""

    path: str
    overrides: Overrides = field(default_factory=Overrides)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the checkpoint's files and the overrides."""
        place = locate(Path(self.path), self.overrides.format)
        files = {place.main, *(f for f in place.folder.iterdir() if f.suffix in _STATISTICS)}
        parts = [f"{file.name} {sha256(file)}" for file in sorted(files) if file.is_file()]
        return _hash([*parts, *self.overrides.options()])


def cache_dir() -> Path:
    """The cache folder of engines built for benchmarks."""
    return cache_root() / "bench"


def default_source(report: Report) -> CheckpointSource:
    """An untrained ACT of LeRobot's default size, written to the cache if it is not there."""
    folder = cache_dir() / "untrained"
    if not (folder / WEIGHTS).is_file():
        from actd.policy.untrained import write_untrained

        # whole or not at all, even if this is interrupted
        with scratch_folder(cache_dir()) as scratch:
            write_untrained(scratch / folder.name, cameras=DEFAULT_CAMERAS).rename(folder)
    report(f"no checkpoint given: using an untrained policy of the default size, {folder}")
    return CheckpointSource(str(folder))


def build_or_reuse(
    recipes: Mapping[str, str], source: CheckpointSource, report: Report
) -> Mapping[str, Path | ActdError]:
    """The folders of engines by name, from the cache or built now on synthetic frames.

    `recipes`: name or path of each engine's recipe. An engine that could not be built has its
    error in place of a folder.
    """
    out = cache_dir() / source.fingerprint
    engines: dict[str, Path | ActdError] = {}
    pending = []
    for name, recipe in recipes.items():
        if _is_current(out / name, recipe):
            engines[name] = out / name
        else:
            pending.append(name)
            shutil.rmtree(out / name, ignore_errors=True)
    if pending:
        report(f"building {', '.join(pending)} into {out}")
    while pending:
        error = _build([recipes[name] for name in pending], source, out, report)
        complete = [name for name in pending if _is_engine(out / name)]
        for name in complete:
            (out / f"{name}.inputs").write_text(_inputs(recipes[name]))
            engines[name] = out / name
        pending = [name for name in pending if name not in complete]
        if pending:
            # engines are built in order, so the first one missing is the one that failed
            failure = pending.pop(0)
            engines[failure] = error or EngineError(
                f"{failure}: was not built into {out}; try again"
            )
    return engines


def _build(
    recipes: Sequence[str], source: CheckpointSource, out: Path, report: Report
) -> ActdError | None:
    """Build engines in order until one fails, and return its error; those before it stay."""
    try:
        from actd.export.calibration import SYNTHETIC
        from actd.export.export import export_checkpoint

        export_checkpoint(source.path, out, recipes, SYNTHETIC, report, overrides=source.overrides)
    except ActdError as error:
        return error
    except ImportError as error:
        return EngineError(f"{error.name} is not installed; pip install 'actd[export]'")
    return None


def _is_current(folder: Path, recipe: str) -> bool:
    stamp = folder.with_name(f"{folder.name}.inputs")
    return _is_engine(folder) and stamp.is_file() and stamp.read_text() == _inputs(recipe)


def _is_engine(folder: Path) -> bool:
    try:
        read_manifest(folder)
    except EngineError:
        return False
    return True


def _inputs(recipe: str) -> str:
    """A hash of the recipe, the code and the packages that an engine is built with."""
    package = Path(actd.__file__).parent
    code = sorted(file for part in _CODE for file in (package / part).rglob("*.py"))
    files = [f"{file.name} {sha256(file)}" for file in (recipe_file(recipe), *code)]
    return _hash([*files, *(f"{package} {host.version(package)}" for package in _PACKAGES)])


def _hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
