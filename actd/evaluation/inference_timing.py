"""Times open engines side by side, back to back or at a rate. Fails only as the engines do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from actd.engine.base import Stages
from actd.engine.candidate import OpenCandidate
from actd.engine.observations import random_observation
from actd.evaluation.speed import Cadence, StageTimes, Timing
from actd.timing import interleave, pace, percentiles

# Threads of the engine before may spin for some milliseconds after their work.
SETTLE_S = 0.05
# Enough for a median to set beside the one at a rate.
_COMPARED = 10


@dataclass(frozen=True, slots=True)
class TimingSettings:
    """How often each engine is timed, after how many runs that do not count, at what rate.

    `rate_hz` None: in interleaved rounds, back to back.
    """

    rounds: int = 50
    warmup: int = 3
    rate_hz: float | None = None

    @property
    def words(self) -> str:
        """How the figures came about, for people."""
        often = f"{self.rounds} inferences each after {self.warmup} that do not count"
        if self.rate_hz is None:
            return f"{often}, in rounds of one of each, back to back"
        return f"{often}, one engine after the other at {self.rate_hz:g} Hz"


def time_all(ready: Sequence[OpenCandidate], settings: TimingSettings) -> dict[str, Timing]:
    """The timing of each by name."""
    watched = {opened.name: _Watched(opened) for opened in ready}
    rounds = settings.rounds if settings.rate_hz is None else min(_COMPARED, settings.rounds)
    samples = interleave(watched, rounds=rounds, warmup=settings.warmup, settle_s=SETTLE_S)
    if settings.rate_hz is None:
        return {
            name: Timing(
                tuple(taken), percentiles(taken), settings.warmup, watched[name].medians(len(taken))
            )
            for name, taken in samples.items()
        }
    return {
        name: _paced(call, settings, settings.rate_hz, percentiles(samples[name]).p50_ms)
        for name, call in watched.items()
    }


def _paced(call: _Watched, settings: TimingSettings, rate_hz: float, alone_ms: float) -> Timing:
    pace(call, rate_hz=rate_hz, count=settings.warmup)
    found = pace(call, rate_hz=rate_hz, count=settings.rounds)
    return Timing(
        tuple(found.samples_ns),
        percentiles(found.samples_ns),
        settings.warmup,
        call.medians(settings.rounds),
        Cadence(rate_hz, found.missed, alone_ms),
    )


class _Watched:
    """Infers when called, and keeps where the time went."""

    def __init__(self, opened: OpenCandidate) -> None:
        self._infer: Callable[..., object] = opened.infer
        self._engine = opened.engine
        self._observation = random_observation(opened.spec)
        self._stages: list[Stages] = []

    def __call__(self) -> None:
        self._infer(self._observation)
        if self._engine is not None:
            self._stages.append(self._engine.stages)

    def medians(self, latest: int) -> StageTimes | None:
        """Medians over the latest inferences, None for one that does not tell."""
        if not self._stages:
            return None
        spent = [(s.copy_in_ns, s.run_ns, s.copy_out_ns) for s in self._stages[-latest:]]
        return StageTimes(*(float(ms) for ms in np.median(np.array(spent), axis=0) / 1e6))
