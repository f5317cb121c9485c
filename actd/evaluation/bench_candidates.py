"""Who takes part in a benchmark: the given engine folders, or engines built from a checkpoint.

A name that cannot be had becomes a row that says why, `failed` where it was asked for by name
and `unavailable` where everything was; the others take part all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NoReturn

from actd.engine.load import missing
from actd.engine.manifest import read_manifest
from actd.engine.recipe import load_recipe, recipe_names
from actd.errors import ActdError, EngineError
from actd.evaluation.contender import TORCH, Contender, needs_export
from actd.evaluation.engine_cache import Source, built, default_source
from actd.evaluation.speed import Row
from actd.policy.overrides import Overrides

ALL = "all"

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command was asked for. No folders: engines are built from `source`."""

    engines: Sequence[str] = (ALL,)
    folders: Sequence[Path] = ()
    source: Source | None = None
    threads: int | None = None

    @property
    def everything(self) -> bool:
        """Whether whatever can run here is wanted."""
        return not self.engines or ALL in self.engines


@dataclass(slots=True)
class Lineup:
    """What takes part, and a row for everything that was asked for, in order.

    The row of what does not take part says why; those of the others are to be filled in.
    """

    asked: Asked
    contenders: list[Contender] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)

    def refuse(self, name: str, error: ActdError, runtime: str | None = None) -> None:
        """Make the row of what cannot take part; `runtime` is what would run it, if known."""
        reason = str(error).removeprefix(f"{name}: ")
        self.rows[name] = Row(name, f"{self._state(name, runtime)}: {reason}")

    def _state(self, name: str, runtime: str | None) -> str:
        """A folder is asked for by name too, unless nothing here could run what is in it."""
        if not self.asked.everything:
            return "failed"
        runs_here = runtime is None or not missing(runtime)
        return "failed" if self.asked.folders and runs_here and name != TORCH else "unavailable"


def line_up(asked: Asked, report: Report) -> Lineup:
    """Find or build everything that was asked for."""
    lineup = Lineup(asked)
    makers = _from_folders(asked) if asked.folders else _from_checkpoint(asked, report)
    for name, make in makers.items():
        lineup.rows[name] = Row(name, "ok")
        try:
            lineup.contenders.append(make())
        except ActdError as error:
            lineup.refuse(name, error)
    return lineup


Makers = Mapping[str, Callable[[], Contender]]


def _from_folders(asked: Asked) -> Makers:
    """Engines of the given folders; torch runs the checkpoint that they were built from."""
    found: dict[str, Path] = {}
    damaged: dict[str, Callable[[], Contender]] = {}
    runtimes: dict[str, str] = {}
    for folder in asked.folders:
        try:
            manifest = read_manifest(folder)
        except EngineError as error:
            damaged[str(folder)] = partial(_refuse, error)
            continue
        name = manifest.engine if manifest.engine not in found else str(folder)
        found[name], runtimes[name] = folder, manifest.runtime
    names = [TORCH, *(n for n in found if n != TORCH)] if asked.everything else asked.engines
    makers: dict[str, Callable[[], Contender]] = {}
    for name in _expanded(names, runtimes):
        if name in found:
            makers[name] = partial(Contender, name, asked.threads, str(found[name]))
        elif name == TORCH:
            source = asked.source or _built_from(found)
            makers[TORCH] = partial(_torch, source, asked.threads)
        else:
            makers[name] = partial(_not_given, name, list(found))
    return makers | damaged


def _from_checkpoint(asked: Asked, report: Report) -> Makers:
    """Torch, and the engines built from the checkpoint."""
    recipes = recipe_names()
    runtimes = {name: load_recipe(name).runtime for name in recipes}
    names = [TORCH, *(n for n in recipes if n != TORCH)] if asked.everything else asked.engines
    names = _expanded(names, runtimes)
    source = asked.source or _default(report)
    engines = [n for n in names if n != TORCH and n in runtimes and not missing(runtimes[n])]
    found = built(engines, source, report)

    def engine(name: str) -> Contender:
        if name not in runtimes:
            _refuse_name(name, f"no such engine; use one of {', '.join(recipes)}")
        if name not in found:
            raise EngineError(f"{name}: {'; '.join(missing(runtimes[name]))}")
        folder = found[name]
        if isinstance(folder, ActdError):
            raise folder
        return Contender(name, asked.threads, str(folder))

    return {
        name: partial(_torch, source, asked.threads) if name == TORCH else partial(engine, name)
        for name in names
    }


def _default(report: Report) -> Source:
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


def _torch(source: Source | None, threads: int | None) -> Contender:
    if source is None:
        raise EngineError("torch: no checkpoint known; give one with --checkpoint")
    return Contender(TORCH, threads, None, source.path, source.overrides.given())


def _built_from(found: Mapping[str, Path]) -> Source | None:
    sources = (read_manifest(folder).source for folder in found.values())
    return next((Source(s.path, Overrides.again(s.overrides)) for s in sources), None)


def _not_given(name: str, found: Sequence[str]) -> Contender:
    _refuse_name(name, f"not among the given folders, which hold {', '.join(found)}")


def _refuse_name(name: str, otherwise: str) -> NoReturn:
    """A runtime asked for by its own name is refused for what it lacks."""
    try:
        lacking = missing(name)
    except KeyError:
        lacking = []
    raise EngineError(f"{name}: {'; '.join(lacking) or otherwise}")


def _refuse(error: EngineError) -> Contender:
    raise error
