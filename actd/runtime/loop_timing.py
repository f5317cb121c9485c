"""How punctual the daemon is: rates, lateness and ages, as live histograms.

Fed with tick and chunk records off the tick's path; gives one plain map. Lateness is what
cyclictest calls latency: the time a tick woke minus the time it was due.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from actd.control.limits import Flag
from actd.mode import Mode
from actd.runtime.histogram import Histogram

_NAMES = ("lateness", "work", "chunk_age", "inference")


class Cadence:
    """Statistics of ticks and chunks since the last `clear`, and histograms since the start too."""

    def __init__(self, target_hz: float) -> None:
        self._target_hz = target_hz
        self._missed_total = 0
        self._before = {name: Histogram() for name in _NAMES}
        self._since = {name: Histogram() for name in _NAMES}
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._ticks = 0
        self._first_due_ns = self._last_due_ns = 0
        self._missed_before = self._missed_total
        self._starved = 0
        self._modes: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        for name, histogram in self._since.items():
            self._before[name].merge(histogram)
        self._since = {name: Histogram() for name in _NAMES}
        self._chunks = 0
        self._first_chunk_ns = self._last_chunk_ns = 0

    def tick(self, record: Any) -> None:
        """Take in one record of `actd.runtime.channels.tick_dtype`."""
        due_ns = int(record["due_ns"])
        self._first_due_ns = self._first_due_ns or due_ns
        self._last_due_ns = due_ns
        self._ticks += 1
        self._missed_total = int(record["missed"])
        self._since["lateness"].add(int(record["late_ns"]))
        self._since["work"].add(int(record["sent_ns"] - record["wake_ns"]))
        self._modes[Mode(int(record["mode"])).name] += 1
        flags = int(record["flags"])
        self._starved += bool(flags & Flag.UNDERRUN)
        self._flags.update(flag.name for flag in Flag if flags & flag and flag.name)
        if record["chunk_age_ns"] >= 0:
            self._since["chunk_age"].add(int(record["chunk_age_ns"]))

    def chunk(self, record: Any) -> None:
        """Take in one record of `actd.runtime.channels.chunk_dtype`."""
        self._chunks += 1
        self._since["inference"].add(int(record["infer_ns"]))
        t_ns = int(record["t_observation_ns"])
        self._first_chunk_ns = self._first_chunk_ns or t_ns
        self._last_chunk_ns = t_ns

    def control(self) -> dict[str, Any]:
        """Rates in Hz, lateness and work in us, chunk age in ms, and counts."""
        return {
            "target_hz": self._target_hz,
            "rate_hz": _rate(self._ticks, self._last_due_ns - self._first_due_ns),
            "ticks": self._ticks,
            "missed": self._missed_total - self._missed_before,
            "underruns": self._starved,
            "lateness_us": self._since["lateness"].percentiles(1e3),
            "work_us": self._since["work"].percentiles(1e3),
            "chunk_age_ms": self._since["chunk_age"].percentiles(1e6),
            "mode_counts": {mode.name: self._modes[mode.name] for mode in Mode},
            "flags": dict(self._flags),
        }

    def inference(self) -> dict[str, Any]:
        """Chunks, their rate in Hz and inference times in ms."""
        return {
            "chunks": self._chunks,
            "rate_hz": _rate(self._chunks, self._last_chunk_ns - self._first_chunk_ns),
            "ms": self._since["inference"].percentiles(1e6),
        }

    def histograms(self) -> dict[str, dict[str, str]]:
        """Every histogram in nanoseconds, encoded, since the last `clear` and since the start."""
        whole = {name: Histogram() for name in _NAMES}
        for name, histogram in whole.items():
            histogram.merge(self._before[name])
            histogram.merge(self._since[name])
        return {
            "since_clear": {name: histogram.encode() for name, histogram in self._since.items()},
            "since_start": {name: histogram.encode() for name, histogram in whole.items()},
        }


def _rate(count: int, span_ns: int) -> float:
    return round((count - 1) * 1e9 / span_ns, 3) if span_ns > 0 else 0.0
