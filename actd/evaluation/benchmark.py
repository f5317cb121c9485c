"""How fast and how exact each engine is on this computer: the work behind `actd bench`.

Opens the engines, measures each one's load time and memory in a process of its own, times all of
them together, and compares each with torch's recorded answers in its folder. An engine that fails
or cannot run here becomes a row with the reason; the others are still measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from actd.engine.acceptance import tolerance_excess
from actd.engine.candidate import Candidate, OpenCandidate
from actd.engine.load import version_note
from actd.engine.observations import random_observation
from actd.engine.reference import REFERENCE, parity_here
from actd.engine.verify import Parity
from actd.errors import ActdError, EngineError, one_line
from actd.evaluation import memory
from actd.evaluation.candidates import BenchRequest, Report, bench_candidates
from actd.evaluation.inference_timing import TimingSettings, time_all
from actd.evaluation.speed import BenchReport, EngineResult, Error, Footprint, Timing
from actd.host import machine

__all__ = ["BenchRequest", "TimingSettings", "run_benchmark"]


def run_benchmark(
    request: BenchRequest,
    settings: TimingSettings | None = None,
    report: Report = lambda line: None,
) -> BenchReport:
    """Measure the requested engines; `report` gets one line per step that takes a while."""
    settings = settings or TimingSettings()
    candidates = bench_candidates(request, report)
    rows = candidates.rows
    with ExitStack() as stack:
        runners = []
        for candidate in candidates.candidates:
            try:
                runners.append(_warm_up(candidate, stack))
            except ActdError as error:
                candidates.reject(candidate.name, error, candidate.runtime)
        rows |= _measure(runners, settings, report)
    threads = (
        "the runtime's default threads" if request.threads is None else f"{request.threads} threads"
    )
    method = f"{settings.description}; {threads}"
    return BenchReport(tuple(rows.values()), method, machine())


@dataclass(frozen=True, slots=True)
class _WarmRunner:
    """An engine after its first inference, and its errors against torch."""

    runner: OpenCandidate
    parity: Parity | None

    @property
    def name(self) -> str:
        return self.runner.name


def _warm_up(candidate: Candidate, stack: ExitStack) -> _WarmRunner:
    """Open a candidate and run it once; `stack` closes it. Raises ActdError for any failure."""
    runner = candidate.open(spin=True)
    stack.callback(runner.close)
    try:
        if (parity := _parity(runner)) is None:
            runner.infer(random_observation(runner.spec))
    except ActdError:
        raise
    except Exception as error:  # the runtimes' errors share no base class
        reason = one_line(error)[:200]
        raise EngineError(f"{runner.name}: the first inference failed: {reason}") from error
    return _WarmRunner(runner, parity)


def _measure(
    runners: list[_WarmRunner], settings: TimingSettings, report: Report
) -> Mapping[str, EngineResult]:
    """One result per warmed-up engine, by name."""
    if not runners:
        return {}
    for runner in (warm.runner for warm in runners):
        if runner.candidate.manifest and (note := version_note(runner.candidate.manifest)):
            report(f"note: {note}")
    costs = {warm.name: _footprint(warm.runner.candidate, report) for warm in runners}
    report(f"timing {', '.join(warm.name for warm in runners)}")
    timings = time_all([warm.runner for warm in runners], settings)
    return {t.name: _row(t, timings[t.name], costs[t.name]) for t in runners}


def _footprint(candidate: Candidate, report: Report) -> Footprint | None:
    report(f"{candidate.name}: measuring load time and memory in a process of its own")
    try:
        return memory.measure(candidate)
    except ActdError as error:
        report(str(error))
        return None


def _row(warm: _WarmRunner, timing: Timing, cost: Footprint | None) -> EngineResult:
    manifest, parity = warm.runner.candidate.manifest, warm.parity
    excess = tolerance_excess(parity, manifest.reference_tolerance) if manifest and parity else ""
    return EngineResult(
        engine=warm.name,
        status=f"failed: too far from torch on this computer: {excess}" if excess else "ok",
        size_mb=round(manifest.size_bytes / 1e6, 1) if manifest else None,
        timing=timing,
        footprint=cost,
        error=_error(parity) if manifest else Error(0.0, 0.0, 0.0, 0.0, 0),  # torch itself
    )


def _parity(runner: OpenCandidate) -> Parity | None:
    """Errors against torch's answers in the folder, else those recorded at the build."""
    manifest, engine, folder = runner.candidate.manifest, runner.engine, runner.candidate.folder
    if manifest is None or engine is None or folder is None:
        return None
    if (Path(folder) / REFERENCE).is_file():
        return parity_here(engine, Path(folder), manifest)
    return manifest.parity.statistics if manifest.parity else None


def _error(parity: Parity | None) -> Error | None:
    if parity is None:
        return None
    return Error(parity.max, parity.p99, parity.max_std, parity.p99_std, parity.worst_joint)
