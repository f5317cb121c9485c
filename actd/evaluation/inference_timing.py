"""Time open engines side by side, back to back or at a rate. Fails only as the engines do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from actd.engine.base import Stages
from actd.engine.candidate import OpenCandidate
from actd.engine.observations import random_observation
from actd.evaluation.speed import CadenceTiming, StageTimes, Timing
from actd.timing import interleave, pace, percentiles

# The previous engine's threads may spin for some milliseconds after their work.
SETTLE_S = 0.05
# Rounds of the back-to-back median that the paced one is compared with.
_COMPARED = 10


@dataclass(frozen=True, slots=True)
class TimingSettings:
    """How often each engine is timed, after how many warm-up runs, at what rate.

    `rate_hz` None: in interleaved rounds, back to back.
    """

    rounds: int = 50
    warmup: int = 3
    rate_hz: float | None = None

    @property
    def description(self) -> str:
        """The measurement method as text."""
        count = f"{self.rounds} inferences per engine after {self.warmup} warm-up runs"
        if self.rate_hz is None:
            return f"{count}, interleaved, back to back"
        return f"{count}, one engine at a time at {self.rate_hz:g} Hz"


def time_all(runners: Sequence[OpenCandidate], settings: TimingSettings) -> dict[str, Timing]:
    """The timing of each by name."""
    recorders = {runner.name: _StageRecorder(runner) for runner in runners}
    rounds = settings.rounds if settings.rate_hz is None else min(_COMPARED, settings.rounds)
    samples = interleave(recorders, rounds=rounds, warmup=settings.warmup, settle_s=SETTLE_S)
    if settings.rate_hz is None:
        return {
            name: Timing(
                tuple(samples_ns),
                percentiles(samples_ns),
                settings.warmup,
                recorders[name].medians(len(samples_ns)),
            )
            for name, samples_ns in samples.items()
        }
    return {
        name: _time_at_rate(call, settings, settings.rate_hz, percentiles(samples[name]).p50_ms)
        for name, call in recorders.items()
    }


def _time_at_rate(
    recorder: _StageRecorder, settings: TimingSettings, rate_hz: float, alone_ms: float
) -> Timing:
    pace(recorder, rate_hz=rate_hz, count=settings.warmup)
    run = pace(recorder, rate_hz=rate_hz, count=settings.rounds)
    return Timing(
        tuple(run.samples_ns),
        percentiles(run.samples_ns),
        settings.warmup,
        recorder.medians(settings.rounds),
        CadenceTiming(rate_hz, run.missed, alone_ms),
    )


class _StageRecorder:
    """Infer when called, and record the stage times."""

    def __init__(self, runner: OpenCandidate) -> None:
        self._infer: Callable[..., object] = runner.infer
        self._engine = runner.engine
        self._observation = random_observation(runner.spec)
        self._stages: list[Stages] = []

    def __call__(self) -> None:
        self._infer(self._observation)
        if self._engine is not None:
            self._stages.append(self._engine.stages)

    def medians(self, latest: int) -> StageTimes | None:
        """Medians over the latest inferences, None for an engine without stages."""
        if not self._stages:
            return None
        stage_ns = [(s.copy_in_ns, s.run_ns, s.copy_out_ns) for s in self._stages[-latest:]]
        return StageTimes(*(float(ms) for ms in np.median(np.array(stage_ns), axis=0) / 1e6))
