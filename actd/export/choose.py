"""Choose an engine by alias: `auto`, the fastest one here, and `trt`, the fastest TensorRT.

Builds every engine of the alias that this computer can run, times those that pass their
tolerance side by side, and returns the fastest. A candidate that cannot run, cannot be built or
is not exact enough is reported in one line; if none is left, an EngineError has all the reasons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from functools import partial
from typing import TYPE_CHECKING

from actd.engine.candidate import Candidate
from actd.engine.load import missing
from actd.engine.recipe import Recipe, load_recipe, recipe_names
from actd.errors import EngineError
from actd.export.job import Job, Report
from actd.timing import interleave, percentiles

if TYPE_CHECKING:
    from actd.export.export import Result

ALIASES: dict[str, Callable[[Recipe], bool]] = {
    "auto": lambda recipe: recipe.auto,
    "trt": lambda recipe: recipe.runtime == "trt",
}
"""Alias -> which recipes it stands for."""

_ROUNDS = 15
_ALTERNATIVE = {"trt": "; use ort-int8 or ort-fp32 meanwhile"}


def candidates(alias: str, report: Report) -> list[Recipe]:
    """The recipes of an alias whose runtime this computer has.

    The others are reported. Raises EngineError with what is missing if none is left.
    """
    recipes = [recipe for recipe in map(load_recipe, recipe_names()) if ALIASES[alias](recipe)]
    problems_of = {runtime: missing(runtime) for runtime in sorted({r.runtime for r in recipes})}
    available = [recipe for recipe in recipes if not problems_of[recipe.runtime]]
    if not available:
        reasons = dict.fromkeys(
            problem for problems in problems_of.values() for problem in problems
        )
        raise EngineError(f"{alias}: {'; '.join(reasons)}{_ALTERNATIVE.get(alias, '')}")
    for recipe in recipes:
        if problems := problems_of[recipe.runtime]:
            report(f"{alias}: {recipe.name} cannot run here: {problems[0]}")
    return available


def choose(alias: str, build: Callable[[Recipe], Result], job: Job) -> Result:
    """The fastest engine of `alias` on this computer that passes its tolerance.

    `build` makes one engine or raises EngineError. Raises EngineError when none passes.
    """
    results: list[Result] = []
    reasons: list[str] = []
    for recipe in candidates(alias, job.report):
        try:
            results.append(build(recipe))
        except EngineError as error:
            reasons.append(str(error))
            job.report(f"{alias}: skipping {recipe.name}: {error}")
    medians = _medians(results, job)
    if not medians:
        raise EngineError(f"{alias}: no engine passes here: {'; '.join(reasons)}")
    order = sorted(results, key=lambda result: medians[result.engine])
    for line in _table(order, medians):
        job.report(line)
    winner = order[0]
    job.report(f"{alias}: {winner.engine}, {medians[winner.engine]:.1f} ms")
    return winner


def _medians(results: Sequence[Result], job: Job) -> dict[str, float]:
    """Each engine's median in milliseconds, in interleaved rounds on one observation."""
    observation = job.validation_frames.observations[0]
    with ExitStack() as stack:
        engines = [
            stack.enter_context(
                closing(Candidate(result.engine, str(result.folder)).open(spin=True))
            )
            for result in results
        ]
        calls = {engine.name: partial(engine.infer, observation) for engine in engines}
        samples = interleave(calls, rounds=_ROUNDS)
    return {name: percentiles(samples_ns).p50_ms for name, samples_ns in samples.items()}


def _table(order: Sequence[Result], medians: dict[str, float]) -> list[str]:
    """Times and errors, fastest first."""
    head = f"  {'engine':<16} {'median ms':>9} {'p99 std':>9} {'max std':>9} {'adds':>7}"
    return [head] + [
        f"  {result.engine:<16} {medians[result.engine]:9.1f} "
        f"{result.validation.parity.p99_std:9.2g} {result.validation.parity.max_std:9.2g} "
        f"{_added(result):>7}"
        for result in order
    ]


def _added(result: Result) -> str:
    added = result.validation.added
    return "-" if added is None else f"{100 * added.share:.1f} %"
