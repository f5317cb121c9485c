"""What a cell's attempts amount to, and one cell against another at the same places. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from actd.proportions import bonett_price, mcnemar, wilson
from bench.closed_loop.results import Result

REFERENCES = ("torch", "ort-fp32")
"""In float32. The one played at most places, the first of equals, is the reference."""
EIGHT_BITS = "int8"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of `places` attempts. low, high: the 95 % Wilson interval. seconds: median of the successes,
    None without one. step_rad: the largest; jerk, inferences: medians. given_up: by the daemon.
    """

    places: int
    successes: int
    low: float
    high: float
    seconds: float | None
    step_rad: float
    jerk: float
    inferences: float
    given_up: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a cell from another, at the places that both have played. p: McNemar's, exact."""

    places: int
    lost: int
    gained: int
    p: float

    @property
    def points_lost(self) -> float:
        """How many of a hundred attempts."""
        return 100 * (self.lost - self.gained) / self.places

    @property
    def points(self) -> tuple[float, float]:
        """What the successes of a hundred attempts change by, its 95 % interval."""
        low, high = bonett_price(self.gained, self.lost, self.places)
        return 100 * low, 100 * high


def outcome(result: Result) -> Outcome:
    """Of a cell with one attempt at least."""
    attempts = result.attempts
    seconds = [attempt.seconds for attempt in attempts if attempt.seconds is not None]
    return Outcome(
        len(attempts),
        len(seconds),
        *wilson(len(seconds), len(attempts)),
        statistics.median(seconds) if seconds else None,
        max(attempt.step_rad for attempt in attempts),
        statistics.median(attempt.jerk for attempt in attempts),
        statistics.median(attempt.inferences for attempt in attempts),
        sum(attempt.reason != "" for attempt in attempts),
    )


def difference(of: Result, reference: Result) -> Difference:
    """Place by place."""
    pairs = [
        (one.seconds is not None, other.seconds is not None)
        for one, other in zip(reference.attempts, of.attempts, strict=False)
    ]
    lost = sum(before and not after for before, after in pairs)
    gained = sum(after and not before for before, after in pairs)
    return Difference(len(pairs), lost, gained, mcnemar(lost, gained))


def reference_of(result: Result, results: Iterable[Result]) -> Result | None:
    """The cell that differs only in its engine, which is in float32."""
    alike = {
        other.cell.engine: other
        for other in results
        if (other.cell.contestant, other.cell.delay_ms, other.cell.shift_cm)
        == (result.cell.contestant, result.cell.delay_ms, result.cell.shift_cm)
    }
    exact = [alike[name] for name in REFERENCES if name in alike]
    return max(exact, key=lambda other: len(other.attempts), default=None)


def metrics(results: Iterable[Result]) -> dict[str, float]:
    """A share of successes per cell, and the most points that 8 bits lose against float32."""
    played = [result for result in results if result.attempts]
    shares: dict[str, float] = {}
    lost: list[float] = []
    for result in played:
        shares[result.cell.name] = outcome(result).successes / len(result.attempts)
        reference = reference_of(result, played)
        if EIGHT_BITS in result.cell.engine and reference is not None:
            lost.append(difference(result, reference).points_lost)
    return shares | ({"int8.points_lost": max(lost)} if lost else {})
