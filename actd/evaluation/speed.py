"""What a benchmark found: a row per engine, the machine, and the answer to the command.

Plain data; cannot fail.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actd.timing import Percentiles


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Medians of where an inference spent its time, in milliseconds."""

    copy_in_ms: float
    run_ms: float
    copy_out_ms: float


@dataclass(frozen=True, slots=True)
class Footprint:
    """What an engine costs a process that does nothing else.

    `load_ms` is from nothing loaded to the first chunk, with the caches of the disk and of the
    runtime filled. `memory_mb` is how much the process grew by it; `gpu_memory_mb` how much more
    of the GPU's memory was in use, None for an engine that uses none.
    """

    load_ms: float
    memory_mb: float
    gpu_memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Cadence:
    """What a fixed rate did to an engine: periods without an inference, and the median without."""

    rate_hz: float
    missed: int
    back_to_back_p50_ms: float


@dataclass(frozen=True, slots=True)
class Error:
    """The worst joint's error against torch, in physical units and in its standard deviations."""

    max: float
    p99: float
    max_std: float
    p99_std: float
    worst_joint: int


@dataclass(frozen=True, slots=True)
class Timing:
    """The durations of the timed inferences, in nanoseconds, and what they add up to.

    `stages` is None for torch itself, `cadence` where nothing was paced.
    """

    samples_ns: tuple[int, ...]
    percentiles: Percentiles
    warmup: int
    stages: StageTimes | None = None
    cadence: Cadence | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One engine's result; `status` is `ok`, `failed: why` or `unavailable: why`."""

    engine: str
    status: str
    size_mb: float | None = None
    timing: Timing | None = None
    footprint: Footprint | None = None
    error: Error | None = None

    @property
    def state(self) -> str:
        """`ok`, `failed` or `unavailable`."""
        return self.status.partition(":")[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; what was not measured is None."""
        times, cost = self.timing, self.footprint
        cadence = times.cadence if times else None
        stages = times.stages if times else None
        return {
            "engine": self.engine,
            "status": self.status,
            "size_mb": self.size_mb,
            "n": times.percentiles.n if times else None,
            "warmup": times.warmup if times else None,
            **{
                name: getattr(times.percentiles, name) if times else None
                for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms")
            },
            "stages": asdict(stages) if stages else None,
            "cadence": asdict(cadence) if cadence else None,
            **{
                name: getattr(cost, name, None)
                for name in ("load_ms", "memory_mb", "gpu_memory_mb")
            },
            "error": asdict(self.error) if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Every row, how and on what machine they were measured, and what the command answers."""

    rows: tuple[Row, ...]
    how: str
    machine: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """0 when every engine that was asked for by name ran and at least one did, else 1."""
        states = [row.state for row in self.rows]
        return 0 if "ok" in states and "failed" not in states else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "how": self.how,
            "machine": dict(self.machine),
        }
