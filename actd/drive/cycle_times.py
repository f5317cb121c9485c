"""How punctual the bus is: achieved rate, period error, and what reading and writing take."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Reversible, Sequence
from itertools import islice
from typing import Any

_NEWEST = 100_000
_RECENT = 1000


class CycleTimes:
    """Times of the newest 100 000 cycles. Reads no clock; times are nanoseconds.

    period_ns: the daemon's, which the loop should keep.
    """

    def __init__(self, period_ns: int) -> None:
        self._period_ns = period_ns
        self._began_ns: int | None = None
        self._periods: deque[int] = deque(maxlen=_NEWEST)
        self._reads: deque[int] = deque(maxlen=_NEWEST)
        self._writes: deque[int] = deque(maxlen=_NEWEST)
        self.cycles = 0

    def begin(self, now_ns: int) -> None:
        """A cycle begins: what it sends has arrived."""
        if self._began_ns is not None:
            self._periods.append(now_ns - self._began_ns)
        self._began_ns = now_ns
        self.cycles += 1

    def read(self, duration_ns: int) -> None:
        """What one reading took."""
        self._reads.append(duration_ns)

    def wrote(self, duration_ns: int) -> None:
        """What one command took."""
        self._writes.append(duration_ns)

    @property
    def recent_hz(self) -> float:
        """Achieved lately, 0 before the second cycle."""
        return _rate_hz(_recent(self._periods))

    def summary(self) -> dict[str, Any]:
        """Plain JSON data; durations in ms."""
        errors = (abs(period_ns - self._period_ns) for period_ns in self._periods)
        return {
            "cycles": self.cycles,
            "rate_hz": round(_rate_hz(self._periods), 2),
            "target_hz": round(1e9 / self._period_ns, 2),
            "period_error_ms": percentiles(errors),
            "read_ms": percentiles(self._reads),
            "write_ms": percentiles(self._writes),
        }

    def line(self) -> str:
        """The last seconds in one line."""
        periods = _recent(self._periods)
        errors = [abs(period_ns - self._period_ns) for period_ns in periods]
        durations = {
            "period error": errors,
            "read": _recent(self._reads),
            "write": _recent(self._writes),
        }
        p99 = ", ".join(
            f"{name} {percentiles(values)['p99']:.1f} ms"
            for name, values in durations.items()
            if values
        )
        return f"{_rate_hz(periods):.1f} of {1e9 / self._period_ns:g} Hz; p99: {p99}"


def percentiles(durations_ns: Iterable[int]) -> dict[str, float]:
    """In ms, of durations that happened; empty where there are none."""
    ordered = sorted(durations_ns)
    last = len(ordered) - 1
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
    return {
        name: round(ordered[math.ceil(share * last)] / 1e6, 3)
        for name, share in shares.items()
        if ordered
    }


def _recent(durations_ns: Reversible[int]) -> list[int]:
    # Few enough to be sorted between two cycles.
    return list(islice(reversed(durations_ns), _RECENT))


def _rate_hz(periods_ns: Sequence[int]) -> float:
    total_ns = sum(periods_ns)
    return len(periods_ns) * 1e9 / total_ns if total_ns else 0.0
