"""How fast and how exact each engine is, here: the work behind `actd bench`.

Reads engine folders, or builds engines from a checkpoint (an untrained policy of the
default size if none is given) in the user's cache. Gives rows of plain numbers. An engine
that fails or cannot run here becomes a row that says so; the others are still measured.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from actd.benchmark.report import BenchReport, Row
from actd.engine import trt
from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine, version_note
from actd.engine.manifest import Manifest, read_manifest
from actd.engine.recipe import recipe_names
from actd.engine.verify import compare
from actd.errors import ActdError, EngineError
from actd.observe.measure import interleave, machine, tails
from actd.policy.spec import PolicySpec

if TYPE_CHECKING:
    from actd.policy.checkpoint import Checkpoint

ALL = "all"
TORCH = "torch"
TRT = "trt"

_PARITY_OBSERVATIONS = 4
_DEFAULT_CAMERAS = {"cam_high": (480, 640), "cam_low": (480, 640)}

Report = Callable[[str], None]
Infer = Callable[[Observation], NDArray[np.float32]]


@dataclass(slots=True)
class _Candidate:
    """An engine that is ready to be timed."""

    name: str
    infer: Infer
    spec: PolicySpec
    close: Callable[[], None]
    manifest: Manifest | None = None


@dataclass(slots=True)
class _Bench:
    """What a run has gathered so far."""

    threads: int | None
    report: Report
    strict: bool
    checkpoint: Checkpoint | None = None
    ready: list[_Candidate] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)

    def attempt(self, name: str, make: Callable[[], _Candidate]) -> None:
        """Make a candidate, or a row that says why there is none."""
        try:
            candidate = make()
        except ActdError as error:
            self.rows[name] = Row(name, f"{'failed' if self.strict else 'unavailable'}: {error}")
        else:
            self.ready.append(candidate)
            self.rows[name] = Row(name, "ok")


def run_benchmark(
    engines: Sequence[str],
    folders: Sequence[Path] = (),
    *,
    checkpoint: Path | None = None,
    rounds: int = 50,
    threads: int | None = None,
    report: Report = lambda line: None,
) -> BenchReport:
    """Time `engines` (names, or `all`) in interleaved rounds.

    With `folders` those engine folders are measured. Without, the engines are built from
    `checkpoint`, or from an untrained policy of the default size, into the user's cache.
    """
    everything = not engines or ALL in engines
    bench = _Bench(threads, report, strict=not everything)
    if folders:
        names = _from_folders(bench, engines, everything, folders, checkpoint)
    else:
        names = _names(engines, everything)
        _from_checkpoint(bench, names, checkpoint)
    try:
        if bench.ready:
            _measure(bench, rounds)
    finally:
        for candidate in bench.ready:
            candidate.close()
    return BenchReport(tuple(bench.rows[name] for name in names if name in bench.rows), machine())


def _names(engines: Sequence[str], everything: bool) -> list[str]:
    if everything:
        return [TORCH, *recipe_names(), *([TRT] if TRT not in recipe_names() else [])]
    return list(dict.fromkeys(engines))


def _from_folders(
    bench: _Bench,
    engines: Sequence[str],
    everything: bool,
    folders: Sequence[Path],
    checkpoint: Path | None,
) -> list[str]:
    """Candidates from engine folders; torch runs the checkpoint they were built from."""
    found: dict[str, Path] = {}
    for folder in folders:
        try:
            name = read_manifest(folder).engine
        except EngineError as error:
            bench.rows[str(folder)] = Row(str(folder), f"failed: {error}")
            continue
        found[name if name not in found else str(folder)] = folder
    names = [TORCH, *found] if everything else list(dict.fromkeys(engines))
    for name in names:
        if name in found:
            bench.attempt(name, partial(_loaded, bench, name, found[name]))
        elif name == TORCH:
            source = checkpoint or _source(found)
            bench.attempt(TORCH, partial(_torch, bench, source))
        else:
            bench.attempt(name, partial(_absent, name, found))
    return [*names, *(row for row in bench.rows if row not in names)]


def _source(found: Mapping[str, Path]) -> Path | None:
    return next((Path(read_manifest(f).source.path) for f in found.values()), None)


def _absent(name: str, found: Mapping[str, Path]) -> _Candidate:
    if name.split("-", maxsplit=1)[0] == TRT:
        trt.require()
    raise EngineError(f"{name}: not among the given folders, which hold {', '.join(found)}")


def _from_checkpoint(bench: _Bench, names: Sequence[str], checkpoint: Path | None) -> None:
    """Candidates built from a checkpoint into the cache, unless they are there already."""
    source: list[Path] = []

    def the_checkpoint() -> Path:
        if not source:
            source.append(checkpoint or _default_checkpoint(bench.report))
        return source[0]

    def make(name: str) -> _Candidate:
        if name == TORCH:
            return _torch(bench, the_checkpoint())
        if name.split("-", maxsplit=1)[0] == TRT:
            trt.require()
        return _loaded(bench, name, _built(bench, name, the_checkpoint()))

    for name in names:
        bench.attempt(name, partial(make, name))


def cache_dir() -> Path:
    """Where engines built for a benchmark are kept: `actd` in the user's cache folder."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "actd"


def _default_checkpoint(report: Report) -> Path:
    """An untrained ACT of LeRobot's default size, in the cache."""
    from actd.policy.files import WEIGHTS

    folder = cache_dir() / "bench-untrained"
    if (folder / WEIGHTS).is_file():
        report(f"no checkpoint given: benching the untrained default-size policy in {folder}")
        return folder
    report(f"no checkpoint given: writing an untrained default-size policy to {folder}")
    try:
        from actd.policy.untrained import write_untrained

        return write_untrained(folder, cameras=_DEFAULT_CAMERAS)
    except ImportError as error:
        raise _needs_export(error) from None


def _built(bench: _Bench, name: str, checkpoint: Path) -> Path:
    """The engine of a checkpoint, from the cache or built now."""
    from actd.hashing import sha256
    from actd.policy.files import WEIGHTS
    from actd.policy.locate import locate

    if name not in recipe_names():
        raise EngineError(f"{name}: no such engine; use one of {', '.join(_names((), True))}")
    weights = sha256(locate(checkpoint, "lerobot").folder / WEIGHTS)
    out = cache_dir() / f"bench-{weights[:16]}"
    try:
        if read_manifest(out / name).source.weights_sha256 == weights:
            return out / name
    except EngineError:
        bench.report(f"{name}: building into {out}")
    try:
        from actd.build.export import export_checkpoint

        return export_checkpoint(checkpoint, out, [name], None, bench.report)[0].folder
    except ImportError as error:
        raise _needs_export(error) from None


def _needs_export(error: ImportError) -> EngineError:
    return EngineError(f"{error.name} is not installed; pip install 'actd[export]'")


def _loaded(bench: _Bench, name: str, folder: Path) -> _Candidate:
    engine: Engine = load_engine(folder, threads=bench.threads, spin=True)
    manifest = read_manifest(folder)
    if note := version_note(manifest):
        bench.report(f"note: {note}")
    return _Candidate(name, engine.infer, engine.spec, engine.close, manifest)


def _torch(bench: _Bench, checkpoint: Path | None) -> _Candidate:
    if checkpoint is None:
        raise EngineError("torch: no checkpoint known; give one with --checkpoint")
    try:
        import torch

        from actd.policy.checkpoint import load_checkpoint
        from actd.policy.network import Policy
    except ImportError as error:
        raise _needs_export(error) from None
    if bench.threads:
        torch.set_num_threads(bench.threads)
    bench.checkpoint = load_checkpoint(checkpoint)
    policy = Policy(bench.checkpoint)
    return _Candidate(TORCH, policy.infer, policy.spec, lambda: None)


def _measure(bench: _Bench, rounds: int) -> None:
    """Time the ready candidates together and fill in their rows."""
    samples = interleave(_timed(bench.ready), rounds=rounds, warmup=3)
    references = _References(bench)
    for candidate in bench.ready:
        manifest = candidate.manifest
        bench.rows[candidate.name] = Row(
            engine=candidate.name,
            status="ok",
            size_mb=round(manifest.size_bytes / 1e6, 1) if manifest else None,
            timing=tails(samples[candidate.name]),
            error=references.error(candidate),
        )


def _timed(ready: Sequence[_Candidate]) -> dict[str, Callable[[], object]]:
    def call(candidate: _Candidate) -> Callable[[], object]:
        observation = _any_observation(candidate.spec)
        return lambda: candidate.infer(observation)

    return {candidate.name: call(candidate) for candidate in ready}


def _any_observation(spec: PolicySpec) -> dict[str, NDArray[Any]]:
    """Noise pictures and zero vectors: the time of an inference does not depend on values."""
    random = np.random.Generator(np.random.PCG64(0))
    return {
        f.key: random.integers(0, 256, f.boundary_shape, np.uint8)
        if f.kind == "VISUAL"
        else np.zeros(f.shape, np.float32)
        for f in spec.inputs
    }


class _References:
    """Torch's answers, computed once, for engines of the same weights."""

    def __init__(self, bench: _Bench) -> None:
        self._weights: str | None = None
        torch = next((c for c in bench.ready if c.name == TORCH), None)
        if torch is None or bench.checkpoint is None:
            return
        from actd.policy.synthetic import synthetic

        self._weights = bench.checkpoint.weights_sha256
        self._observations = synthetic(bench.checkpoint, count=_PARITY_OBSERVATIONS, seed=3)
        self._expected = np.stack([torch.infer(o) for o in self._observations])

    def error(self, candidate: _Candidate) -> dict[str, float] | None:
        """Error of the worst joint: measured now, or as recorded when the engine was built."""
        manifest = candidate.manifest
        if manifest is None:
            return {"max": 0.0, "p99": 0.0, "worst_joint": 0}  # torch itself
        if manifest.source.weights_sha256 == self._weights:
            found = np.stack([candidate.infer(o) for o in self._observations])
            parity = compare(found, self._expected, manifest.action_std)
        elif manifest.parity is not None:
            parity = manifest.parity.statistics
        else:
            return None
        return {"max": parity.max, "p99": parity.p99, "worst_joint": parity.worst_joint}
