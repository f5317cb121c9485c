"""A row of the benchmark as words: the same ones on the terminal and on the page.

Pure; what was not measured is a dash.
"""

from __future__ import annotations

from actd.evaluation.speed import Row

NONE = "-"

SPEED = ("engine", "MB", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "fits", "error (joint)")
COST = ("engine", "load s", "RAM MB", "GPU MB", "copy in ms", "run ms", "copy out ms")
CADENCE = ("engine", "missed", "p50 ms at the rate", "p50 ms back to back")


def speed(row: Row) -> list[str]:
    """How fast, how exact: the cells under `SPEED`."""
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


def cost(row: Row) -> list[str]:
    """What it takes to have it, and where its time goes: the cells under `COST`."""
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


def cadence(row: Row) -> list[str]:
    """What the rate did to it: the cells under `CADENCE`. Only of a row that was paced."""
    if row.timing is None or row.timing.cadence is None:
        return [row.engine, NONE, NONE, NONE]
    found, percentiles = row.timing.cadence, row.timing.percentiles
    return [
        row.engine,
        f"{found.missed} of {percentiles.n + found.missed}",
        number(percentiles.p50_ms, 1),
        number(found.back_to_back_p50_ms, 1),
    ]


def number(value: float | None, digits: int) -> str:
    """A number with so many digits behind the point, a dash for none."""
    return NONE if value is None else f"{value:.{digits}f}"
