"""How anything here is timed: interleaved rounds, a fixed cadence, and the tails of both.

Owns the only timing loops of the project, so that two figures are always comparable. Reads the
clock it is given; gives plain numbers. A candidate's exception passes through untouched.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Percentiles:
    """What a set of durations looks like: the middle and the worst, in milliseconds.

    The tails are durations that happened, not interpolated ones: with fewer than 1000 samples
    `p999_ms` is the maximum.
    """

    n: int
    mean_ms: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float

    def to_dict(self) -> dict[str, float]:
        """Plain JSON data."""
        return asdict(self)


def percentiles(samples_ns: Sequence[int] | NDArray[Any]) -> Percentiles:
    """Summarise durations in nanoseconds. Raises ValueError when there are none."""
    if len(samples_ns) == 0:
        raise ValueError("no samples to summarise")
    ms = np.asarray(samples_ns, dtype=np.float64) / 1e6
    p99, p999 = np.percentile(ms, (99, 99.9), method="higher")
    return Percentiles(
        n=len(ms),
        mean_ms=float(ms.mean()),
        p50_ms=float(np.median(ms)),
        p99_ms=float(p99),
        p999_ms=float(p999),
        max_ms=float(ms.max()),
    )


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 3,
    settle_s: float = 0.0,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, list[int]]:
    """Time each candidate once a round; returns its durations in nanoseconds, in round order.

    Every round runs all candidates, each round beginning with the next one, so that a machine
    that grows slower or warmer does so for all of them. Warm-up rounds are run and forgotten.
    `settle_s` is waited before each turn, for threads of the one before to go to sleep.
    """
    names = list(candidates)
    samples: dict[str, list[int]] = {name: [] for name in names}
    for number in range(-warmup, rounds):
        first = number % max(len(names), 1)
        for name in names[first:] + names[:first]:
            call = candidates[name]
            time.sleep(settle_s)
            start_ns = clock()
            call()
            elapsed_ns = clock() - start_ns
            if number >= 0:
                samples[name].append(elapsed_ns)
    return samples


@dataclass(frozen=True, slots=True)
class Paced:
    """Durations in nanoseconds of calls that began at fixed times, and how many could not begin."""

    samples_ns: list[int]
    missed: int


def pace(
    call: Callable[[], object],
    *,
    rate_hz: float,
    count: int,
    clock: Callable[[], int] = time.perf_counter_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> Paced:
    """Call at `rate_hz`, at absolute times, until `count` calls were made.

    A call that is still running when the next ones are due makes them missed: they are skipped
    and counted, never made up for.
    """
    period_ns = round(1e9 / rate_hz)
    samples: list[int] = []
    missed = 0
    due_ns = clock() + period_ns
    for _ in range(count):
        while (wait_ns := due_ns - clock()) > 0:
            sleep(wait_ns / 1e9)
        start_ns = clock()
        call()
        end_ns = clock()
        samples.append(end_ns - start_ns)
        late = max(0, (end_ns - due_ns - 1) // period_ns)
        missed += late
        due_ns += (1 + late) * period_ns
    return Paced(samples, missed)
