"""A benchmark result as table cells, the same for the terminal and the page.

Pure; what was not measured is a dash.
"""

from __future__ import annotations

from actd.evaluation.speed import EngineResult

NONE = "-"

SPEED = ("engine", "MB", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "fits", "error (joint)")
COST = ("engine", "load s", "RAM MB", "GPU MB", "copy in ms", "run ms", "copy out ms")
CADENCE = ("engine", "missed", "p50 ms at the rate", "p50 ms back to back")


def speed(row: EngineResult) -> list[str]:
    """Speed and error: the cells under `SPEED`."""
    percentiles = row.timing.percentiles if row.timing else None
    times = (
        (percentiles.p50_ms, percentiles.p99_ms, percentiles.p999_ms, percentiles.max_ms)
        if percentiles
        else (None,) * 4
    )
    error = row.error
    return [
        row.engine,
        number(row.size_mb, 1),
        *(number(value, 1) for value in times),
        f"{1000 / percentiles.p99_ms:.3g} Hz" if percentiles else NONE,
        f"{error.max:.2g} ({error.worst_joint})" if error else NONE,
    ]


def cost(row: EngineResult) -> list[str]:
    """Load time, memory and stages: the cells under `COST`."""
    cost = row.footprint
    stages = row.timing.stages if row.timing else None
    return [
        row.engine,
        number(cost.load_ms / 1000 if cost else None, 2),
        number(cost.memory_mb if cost else None, 0),
        number(cost.gpu_memory_mb if cost else None, 0),
        number(stages.copy_in_ms if stages else None, 2),
        number(stages.run_ms if stages else None, 2),
        number(stages.copy_out_ms if stages else None, 2),
    ]


def cadence(row: EngineResult) -> list[str]:
    """Inference at the rate: the cells under `CADENCE`, dashes when timed back to back."""
    if row.timing is None or row.timing.cadence is None:
        return [row.engine, NONE, NONE, NONE]
    pacing, percentiles = row.timing.cadence, row.timing.percentiles
    return [
        row.engine,
        f"{pacing.missed} of {percentiles.n + pacing.missed}",
        number(percentiles.p50_ms, 1),
        number(pacing.back_to_back_p50_ms, 1),
    ]


def number(value: float | None, digits: int) -> str:
    """A number with `digits` decimal places, a dash for None."""
    return NONE if value is None else f"{value:.{digits}f}"
