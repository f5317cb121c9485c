"""Which engines are compared: folders and names of a command, made candidates.

`eval_candidates`: an engine that is not there is an error; torch as the reference is a note where
it cannot be had. `bench_candidates`: a name that cannot be had becomes a row that says why,
`failed` where it was asked for by name and `unavailable` where everything was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

from actd.engine.candidate import TORCH, Candidate, needs_export
from actd.engine.load import missing
from actd.engine.manifest import MANIFEST, read_manifest
from actd.engine.recipe import load_recipe, recipe_names
from actd.errors import ActdError, EngineError, UsageError
from actd.evaluation.engine_cache import CheckpointSource, built, default_source
from actd.evaluation.speed import Row
from actd.policy.overrides import Overrides

ALL = "all"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class EvalCandidates:
    """The engines asked for; torch as the reference where it can be had; what to know of them."""

    engines: tuple[Candidate, ...]
    torch: Candidate | None
    notes: tuple[str, ...]

    @property
    def everyone(self) -> tuple[Candidate, ...]:
        """All that are run, torch last."""
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
    EngineError, and CheckpointError for a checkpoint that was asked for.
    """
    chosen = [name for name in dict.fromkeys(names) if name != TORCH]
    folders = [_engine_folder(name, folder) for name in chosen]
    manifests = [read_manifest(place) for place in folders]
    labels = [manifest.engine for manifest in manifests]
    engines = tuple(
        Candidate(name if labels.count(label) > 1 or label == TORCH else label, str(place))
        for place, name, label in zip(folders, chosen, labels, strict=True)
    )
    asked = TORCH in names or checkpoint is not None
    if not with_torch:
        if asked:
            raise UsageError("--no-torch: leaves out what --checkpoint or --engine torch ask for")
        return EvalCandidates(engines, None, ())
    source = checkpoint
    if source is None and manifests:
        built_from = manifests[0].source
        source = built_from.path
        if not (overrides and overrides.options()):
            overrides = Overrides.again(built_from.overrides)
    if source is None:
        raise UsageError("--engine torch: which checkpoint: give --checkpoint CKPT")
    torch = Candidate(TORCH, None, str(source), overrides.given() if overrides else {})
    try:
        policy = torch.policy
    except ActdError as error:
        if asked:
            raise
        return EvalCandidates(engines, None, (f"not compared with torch: {error}",))
    strangers = [engine.name for engine in engines if engine.policy != policy]
    notes = [
        f"{name}: built from other weights or statistics than {source}: not compared with torch"
        for name in strangers
    ]
    return EvalCandidates(engines, torch, tuple(notes))


def _engine_folder(name: str, folder: Path) -> Path:
    places = [Path(name), folder / name]
    for place in places:
        if (place / MANIFEST).is_file():
            return place
    inside = sorted(file.parent.name for file in folder.glob(f"*/{MANIFEST}"))
    raise UsageError(
        f"--engine {name}: no engine there nor in {folder}, which has {', '.join(inside) or 'none'}"
        ": give a folder, or --engines DIR"
    )


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What the command was asked for. No folders: engines are built from `source`."""

    engines: Sequence[str] = (ALL,)
    folders: Sequence[Path] = ()
    source: CheckpointSource | None = None
    threads: int | None = None

    @property
    def everything(self) -> bool:
        """Whether whatever can run here is wanted."""
        return not self.engines or ALL in self.engines


@dataclass(slots=True)
class BenchCandidates:
    """What takes part, and a row for everything that was asked for, in order.

    The row of what does not take part says why; those of the others are to be filled in.
    """

    request: BenchRequest
    candidates: list[Candidate] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)

    def refuse(self, name: str, error: ActdError, runtime: str | None = None) -> None:
        """Make the row of what cannot take part; `runtime` is what would run it, if known."""
        reason = str(error).removeprefix(f"{name}: ")
        self.rows[name] = Row(name, f"{self._state(name, runtime)}: {reason}")

    def _state(self, name: str, runtime: str | None) -> str:
        """A folder is asked for by name too, unless nothing here could run what is in it."""
        if not self.request.everything:
            return "failed"
        runs_here = runtime is None or not missing(runtime)
        return "failed" if self.request.folders and runs_here and name != TORCH else "unavailable"


def bench_candidates(request: BenchRequest, report: Report) -> BenchCandidates:
    """Find or build everything that was asked for."""
    found = BenchCandidates(request)
    makers = _from_folders(request) if request.folders else _from_checkpoint(request, report)
    for name, make in makers.items():
        found.rows[name] = Row(name, "ok")
        try:
            found.candidates.append(make())
        except ActdError as error:
            found.refuse(name, error)
    return found


Makers = Mapping[str, Callable[[], Candidate]]


def _from_folders(request: BenchRequest) -> Makers:
    """Engines of the given folders; torch runs the checkpoint that they were built from."""
    found: dict[str, Path] = {}
    damaged: dict[str, Callable[[], Candidate]] = {}
    runtimes: dict[str, str] = {}
    for folder in request.folders:
        try:
            manifest = read_manifest(folder)
        except EngineError as error:
            damaged[str(folder)] = partial(_refuse, error)
            continue
        name = manifest.engine if manifest.engine not in found else str(folder)
        found[name], runtimes[name] = folder, manifest.runtime
    names = [TORCH, *(n for n in found if n != TORCH)] if request.everything else request.engines
    makers: dict[str, Callable[[], Candidate]] = {}
    for name in _expanded(names, runtimes):
        if name in found:
            makers[name] = partial(_engine, name, found[name], request.threads)
        elif name == TORCH:
            source = request.source or _built_from(found)
            makers[TORCH] = partial(_torch, source, request.threads)
        else:
            makers[name] = partial(_not_given, name, list(found))
    return makers | damaged


def _from_checkpoint(request: BenchRequest, report: Report) -> Makers:
    """Torch, and the engines built from the checkpoint."""
    shipped = recipe_names()
    own = {load_recipe(e).name: e for e in request.engines if Path(e).suffix in (".yaml", ".yml")}
    recipes = {name: name for name in shipped} | own
    runtimes = {name: load_recipe(recipe).runtime for name, recipe in recipes.items()}
    names = [TORCH, *(n for n in shipped if n != TORCH)] if request.everything else request.engines
    paths = {path: name for name, path in own.items()}
    names = _expanded([paths.get(name, name) for name in names], runtimes)
    source = request.source or _default(report)
    engines = [n for n in names if n != TORCH and n in runtimes and not missing(runtimes[n])]
    found = built({name: recipes[name] for name in engines}, source, report)

    def engine(name: str) -> Candidate:
        if name not in runtimes:
            _refuse_name(name, f"no such engine; use one of {', '.join(recipes)}")
        if name not in found:
            raise EngineError(f"{name}: {'; '.join(missing(runtimes[name]))}")
        folder = found[name]
        if isinstance(folder, ActdError):
            raise folder
        return _engine(name, folder, request.threads)

    return {
        name: partial(_torch, source, request.threads) if name == TORCH else partial(engine, name)
        for name in names
    }


def _default(report: Report) -> CheckpointSource:
    try:
        return default_source(report)
    except ImportError as error:
        raise needs_export(error) from None


def _expanded(names: Sequence[str], runtimes: Mapping[str, str]) -> list[str]:
    """Each name once; the name of a runtime stands for all its engines, if it has any here."""
    expanded: dict[str, None] = {}
    for name in names:
        of_runtime = [engine for engine, runtime in runtimes.items() if runtime == name]
        whole = name not in runtimes and name != TORCH and of_runtime and not missing(name)
        expanded |= dict.fromkeys(of_runtime if whole else [name])
    return list(expanded)


def _engine(name: str, folder: Path, threads: int | None) -> Candidate:
    return Candidate(name, str(folder), threads=threads)


def _torch(source: CheckpointSource | None, threads: int | None) -> Candidate:
    if source is None:
        raise EngineError("torch: no checkpoint known; give one with --checkpoint")
    return Candidate(
        TORCH, checkpoint=source.path, overrides=source.overrides.given(), threads=threads
    )


def _built_from(found: Mapping[str, Path]) -> CheckpointSource | None:
    sources = (read_manifest(folder).source for folder in found.values())
    return next((CheckpointSource(s.path, Overrides.again(s.overrides)) for s in sources), None)


def _not_given(name: str, found: Sequence[str]) -> Candidate:
    _refuse_name(name, f"not among the given folders, which hold {', '.join(found)}")


def _refuse_name(name: str, otherwise: str) -> NoReturn:
    """A runtime asked for by its own name is refused for what it lacks."""
    try:
        lacking = missing(name)
    except KeyError:
        lacking = []
    raise EngineError(f"{name}: {'; '.join(lacking) or otherwise}")


def _refuse(error: EngineError) -> Candidate:
    raise error
