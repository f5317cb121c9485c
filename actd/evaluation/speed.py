"""The result of a benchmark: a row per engine, the machine, and the exit code.

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
    """Load time and memory of an engine in a process of its own.

    `load_ms` is the time from nothing loaded to the first chunk, with warm disk and runtime caches.
    `memory_mb` is how much the process grew; `gpu_memory_mb` how much more GPU memory was in use,
    None for an engine on the CPU.
    """

    load_ms: float
    memory_mb: float
    gpu_memory_mb: float | None = None


@dataclass(frozen=True, slots=True)
class CadenceTiming:
    """Inference at a fixed rate: periods skipped, and the back-to-back median to compare with."""

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
    """The durations of the timed inferences, in nanoseconds, and their statistics.

    `stages` is None for torch itself, `cadence` when timed back to back.
    """

    samples_ns: tuple[int, ...]
    percentiles: Percentiles
    warmup: int
    stages: StageTimes | None = None
    cadence: CadenceTiming | None = None


@dataclass(frozen=True, slots=True)
class EngineResult:
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
    """Every engine's result, and the method and the machine of the measurement."""

    rows: tuple[EngineResult, ...]
    method: str
    machine: Mapping[str, Any]

    @property
    def exit_code(self) -> int:
        """0 when every engine requested by name ran and at least one did, else 1."""
        states = [row.state for row in self.rows]
        return 0 if "ok" in states and "failed" not in states else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return {
            "rows": [row.to_dict() for row in self.rows],
            "method": self.method,
            "machine": dict(self.machine),
        }
