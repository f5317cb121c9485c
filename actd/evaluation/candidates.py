"""Turn the engine names and folders of a command into candidates.

`eval_candidates`: a missing engine is an error; torch as the reference is a note if unavailable.
`bench_candidates`: an engine that cannot be used becomes a row with the reason, `failed` if it was
requested by name and `unavailable` if all were requested.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

from actd.engine.candidate import TORCH, Candidate, needs_export
from actd.engine.load import RUNTIMES, missing
from actd.engine.manifest import MANIFEST, read_manifest
from actd.engine.recipe import load_recipe, recipe_names
from actd.errors import ActdError, EngineError, UsageError
from actd.evaluation.engine_cache import CheckpointSource, build_or_reuse, default_source
from actd.evaluation.speed import EngineResult
from actd.policy.overrides import Overrides

ALL = "all"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvalCandidates:
    """The requested engines, torch as the reference where available, and notes about them."""

    engines: tuple[Candidate, ...]
    torch: Candidate | None
    notes: tuple[str, ...]

    @property
    def all_candidates(self) -> tuple[Candidate, ...]:
        """The engines, then torch."""
        return self.engines if self.torch is None else (*self.engines, self.torch)


def eval_candidates(
    names: Sequence[str],
    folder: Path,
    checkpoint: str | Path | None = None,
    overrides: Overrides | None = None,
    *,
    with_torch: bool = True,
) -> EvalCandidates:
    """Engines by folder, or by name inside `folder`; `torch` is the checkpoint itself.

    Without `checkpoint` it is the one that the engines were built from. Raises UsageError,
    EngineError, and CheckpointError if torch was requested explicitly.
    """
    engine_names = [name for name in dict.fromkeys(names) if name != TORCH]
    folders = [_engine_folder(name, folder) for name in engine_names]
    manifests = [read_manifest(place) for place in folders]
    labels = [manifest.engine for manifest in manifests]
    engines = tuple(
        Candidate(name if labels.count(label) > 1 or label == TORCH else label, str(place))
        for place, name, label in zip(folders, engine_names, labels, strict=True)
    )
    torch_requested = TORCH in names or checkpoint is not None
    if not with_torch:
        if torch_requested:
            raise UsageError("--no-torch: contradicts --checkpoint and --engine torch: drop one")
        return EvalCandidates(engines, None, ())
    source = checkpoint
    if source is None and manifests:
        built_from = manifests[0].source
        source = built_from.reference
        if not (overrides and overrides.options()):
            overrides = Overrides.again(built_from.overrides)
    if source is None:
        raise UsageError("--engine torch: no checkpoint is known; give --checkpoint CKPT")
    torch = Candidate(TORCH, None, str(source), overrides.given() if overrides else {})
    try:
        policy = torch.policy
    except ActdError as error:
        if torch_requested:
            raise
        return EvalCandidates(engines, None, (f"not compared with torch: {error}",))
    mismatches = [engine.name for engine in engines if engine.policy != policy]
    notes = [
        f"{name}: built from other weights or statistics than {source}: not compared with torch"
        for name in mismatches
    ]
    return EvalCandidates(engines, torch, tuple(notes))


def _engine_folder(name: str, folder: Path) -> Path:
    places = [Path(name), folder / name]
    for place in places:
        if (place / MANIFEST).is_file():
            return place
    inside = sorted(file.parent.name for file in folder.glob(f"*/{MANIFEST}"))
    raise UsageError(
        f"--engine {name}: no such engine folder, nor one in {folder}, which has "
        f"{', '.join(inside) or 'none'}; give a folder, or --engines DIR"
    )


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """The options of `actd bench`. Without folders, engines are built from `source`."""

    engines: Sequence[str] = (ALL,)
    folders: Sequence[Path] = ()
    source: CheckpointSource | None = None
    threads: int | None = None

    @property
    def all_engines(self) -> bool:
        """Whether every engine that can run here is requested."""
        return not self.engines or ALL in self.engines


@dataclass(slots=True)
class BenchCandidates:
    """The candidates, and a row for every requested engine, in order.

    The row of an engine that is not a candidate has the reason; the others are placeholders.
    """

    request: BenchRequest
    candidates: list[Candidate] = field(default_factory=list)
    rows: dict[str, EngineResult] = field(default_factory=dict)

    def reject(self, name: str, error: ActdError, runtime: str | None = None) -> None:
        """Record why an engine is not a candidate; `runtime` is what would run it, if known."""
        reason = str(error).removeprefix(f"{name}: ")
        self.rows[name] = EngineResult(name, f"{self._state(name, runtime)}: {reason}")

    def _state(self, name: str, runtime: str | None) -> str:
        """A given folder counts as requested by name, unless its runtime is missing here."""
        if not self.request.all_engines:
            return "failed"
        runs_here = runtime is None or not missing(runtime)
        return "failed" if self.request.folders and runs_here and name != TORCH else "unavailable"


def bench_candidates(request: BenchRequest, report: Report) -> BenchCandidates:
    """Find or build every requested engine."""
    candidates = BenchCandidates(request)
    makers = _from_folders(request) if request.folders else _from_checkpoint(request, report)
    for name, make in makers.items():
        candidates.rows[name] = EngineResult(name, "ok")
        try:
            candidates.candidates.append(make())
        except ActdError as error:
            candidates.reject(name, error)
    return candidates


Makers = Mapping[str, Callable[[], Candidate]]


def _from_folders(request: BenchRequest) -> Makers:
    """Engines of the given folders; torch runs the checkpoint that they were built from."""
    engine_folders: dict[str, Path] = {}
    failures: dict[str, Callable[[], Candidate]] = {}
    runtimes: dict[str, str] = {}
    for folder in request.folders:
        try:
            manifest = read_manifest(folder)
        except EngineError as error:
            failures[str(folder)] = partial(_reraise, error)
            continue
        name = manifest.engine if manifest.engine not in engine_folders else str(folder)
        engine_folders[name], runtimes[name] = folder, manifest.runtime
    names = (
        [TORCH, *(n for n in engine_folders if n != TORCH)]
        if request.all_engines
        else request.engines
    )
    makers: dict[str, Callable[[], Candidate]] = {}
    for name in _expand_runtimes(names, runtimes):
        if name in engine_folders:
            makers[name] = partial(_engine, name, engine_folders[name], request.threads)
        elif name == TORCH:
            source = request.source or _source_of(engine_folders)
            makers[TORCH] = partial(_torch, source, request.threads)
        else:
            makers[name] = partial(_reject_unlisted, name, list(engine_folders))
    return makers | failures


def _from_checkpoint(request: BenchRequest, report: Report) -> Makers:
    """Torch, and the engines built from the checkpoint."""
    shipped_names = recipe_names()
    own_recipes = {
        load_recipe(e).name: e for e in request.engines if Path(e).suffix in (".yaml", ".yml")
    }
    recipes = {name: name for name in shipped_names} | own_recipes
    runtimes = {name: load_recipe(recipe).runtime for name, recipe in recipes.items()}
    names = (
        [TORCH, *(n for n in shipped_names if n != TORCH)]
        if request.all_engines
        else request.engines
    )
    paths = {path: name for name, path in own_recipes.items()}
    names = _expand_runtimes([paths.get(name, name) for name in names], runtimes)
    source = request.source or _default_source(report)
    engines = [n for n in names if n != TORCH and n in runtimes and not missing(runtimes[n])]
    folders = build_or_reuse({name: recipes[name] for name in engines}, source, report)

    def engine(name: str) -> Candidate:
        if name not in runtimes:
            _reject_name(name, f"no such engine; use one of {', '.join(recipes)}")
        if name not in folders:
            raise EngineError(f"{name}: {'; '.join(missing(runtimes[name]))}")
        folder = folders[name]
        if isinstance(folder, ActdError):
            raise folder
        return _engine(name, folder, request.threads)

    return {
        name: partial(_torch, source, request.threads) if name == TORCH else partial(engine, name)
        for name in names
    }


def _default_source(report: Report) -> CheckpointSource:
    try:
        return default_source(report)
    except ImportError as error:
        raise needs_export(error) from None


def _expand_runtimes(names: Sequence[str], runtimes: Mapping[str, str]) -> list[str]:
    """Each name once; the name of a runtime stands for all its engines, if it has any here."""
    engines: dict[str, None] = {}
    for name in names:
        runtime_engines = [engine for engine, runtime in runtimes.items() if runtime == name]
        is_runtime = (
            name not in runtimes and name != TORCH and runtime_engines and not missing(name)
        )
        engines |= dict.fromkeys(runtime_engines if is_runtime else [name])
    return list(engines)


def _engine(name: str, folder: Path, threads: int | None) -> Candidate:
    return Candidate(name, str(folder), threads=threads)


def _torch(source: CheckpointSource | None, threads: int | None) -> Candidate:
    if source is None:
        raise EngineError("torch: no checkpoint known; give one with --checkpoint")
    return Candidate(
        TORCH, checkpoint=source.path, overrides=source.overrides.given(), threads=threads
    )


def _source_of(engine_folders: Mapping[str, Path]) -> CheckpointSource | None:
    sources = (read_manifest(folder).source for folder in engine_folders.values())
    return next(
        (CheckpointSource(s.reference, Overrides.again(s.overrides)) for s in sources), None
    )


def _reject_unlisted(name: str, engines: Sequence[str]) -> Candidate:
    _reject_name(name, f"not among the given folders, which hold {', '.join(engines)}")


def _reject_name(name: str, default: str) -> NoReturn:
    """Raise EngineError: what a runtime of this name lacks, else `default`."""
    problems = missing(name) if name in RUNTIMES else []
    raise EngineError(f"{name}: {'; '.join(problems) or default}")


def _reraise(error: EngineError) -> Candidate:
    raise error
