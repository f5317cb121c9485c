"""How fast and how exact each engine is, here: the work behind `actd bench`.

Opens who takes part, measures each one's load time and memory in a process of its own, times
all of them together, and compares every engine with torch's answers that lie in its folder. An
engine that fails or cannot run here becomes a row that says so; the others are still measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actd.engine.candidate import Candidate, OpenCandidate
from actd.engine.load import version_note
from actd.engine.observations import random_observation
from actd.engine.reference import REFERENCE, beyond, parity_here
from actd.engine.verify import Parity
from actd.errors import ActdError, EngineError
from actd.evaluation import memory
from actd.evaluation.candidates import BenchRequest, Report, bench_candidates
from actd.evaluation.inference_timing import TimingSettings, time_all
from actd.evaluation.speed import BenchReport, Error, Footprint, Row, Timing
from actd.host import machine

__all__ = ["BenchRequest", "TimingSettings", "run_benchmark"]


def run_benchmark(
    request: BenchRequest,
    settings: TimingSettings | None = None,
    report: Report = lambda line: None,
) -> BenchReport:
    """Measure what was asked for; `report` is given one line per step that takes a while."""
    settings = settings or TimingSettings()
    found = bench_candidates(request, report)
    rows = found.rows
    with ExitStack() as stack:
        ready = []
        for candidate in found.candidates:
            try:
                ready.append(_tried(candidate, stack))
            except ActdError as error:
                found.refuse(candidate.name, error, candidate.runtime)
        rows |= _measure(ready, settings, report)
    threads = (
        "as many threads as it takes" if request.threads is None else f"{request.threads} threads"
    )
    how = f"{settings.words}; {threads}"
    return BenchReport(tuple(rows.values()), how, machine())


@dataclass(frozen=True, slots=True)
class _Tried:
    """An engine that has answered before the clock runs, and how far from torch."""

    opened: OpenCandidate
    parity: Parity | None

    @property
    def name(self) -> str:
        return self.opened.name


def _tried(candidate: Candidate, stack: ExitStack) -> _Tried:
    """Open it and let it answer; `stack` closes it. Raises ActdError, whatever went wrong."""
    opened = candidate.open(spin=True)
    stack.callback(opened.close)
    try:
        if (parity := _parity(opened)) is None:
            opened.infer(random_observation(opened.spec))
    except ActdError:
        raise
    except Exception as error:  # the runtimes' errors share no base class
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise EngineError(f"{opened.name}: failed in its first inference: {reason}") from error
    return _Tried(opened, parity)


def _measure(ready: list[_Tried], settings: TimingSettings, report: Report) -> Mapping[str, Row]:
    """The rows of those that are ready."""
    if not ready:
        return {}
    for opened in (tried.opened for tried in ready):
        if opened.candidate.manifest and (note := version_note(opened.candidate.manifest)):
            report(f"note: {note}")
    costs = {tried.name: _footprint(tried.opened.candidate, report) for tried in ready}
    report(f"timing {', '.join(tried.name for tried in ready)}")
    timings = time_all([tried.opened for tried in ready], settings)
    return {t.name: _row(t, timings[t.name], costs[t.name]) for t in ready}


def _footprint(candidate: Candidate, report: Report) -> Footprint | None:
    report(f"{candidate.name}: loading it in a process of its own")
    try:
        return memory.measure(candidate)
    except ActdError as error:
        report(str(error))
        return None


def _row(tried: _Tried, timing: Timing, cost: Footprint | None) -> Row:
    manifest, parity = tried.opened.candidate.manifest, tried.parity
    excess = beyond(parity, manifest.recipe.tolerance) if manifest and parity else ""
    return Row(
        engine=tried.name,
        status=f"failed: too far from torch on this computer: {excess}" if excess else "ok",
        size_mb=round(manifest.size_bytes / 1e6, 1) if manifest else None,
        timing=timing,
        footprint=cost,
        error=_error(parity) if manifest else Error(0.0, 0.0, 0.0, 0.0, 0),  # torch itself
    )


def _parity(opened: OpenCandidate) -> Parity | None:
    """Measured now against torch's answers in the folder, or as recorded when it was built."""
    manifest, engine, folder = opened.candidate.manifest, opened.engine, opened.candidate.folder
    if manifest is None or engine is None or folder is None:
        return None
    if (Path(folder) / REFERENCE).is_file():
        return parity_here(engine, Path(folder), manifest)
    return manifest.parity.statistics if manifest.parity else None


def _error(parity: Parity | None) -> Error | None:
    if parity is None:
        return None
    return Error(parity.max, parity.p99, parity.max_std, parity.p99_std, parity.worst_joint)
