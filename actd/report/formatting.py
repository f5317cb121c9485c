"""Figures and settings as short text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actd.timing import Percentiles

PERCENTILES_MS = ("", "p50, ms", "p99, ms", "p99.9, ms", "max, ms")


def cells(figures: Percentiles) -> tuple[str, ...]:
    values = (figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.max_ms)
    return tuple(f"{value:.1f}" for value in values)


def marks(figures: Percentiles) -> dict[str, float]:
    return {
        "p50": figures.p50_ms * 1e3,
        "p99": figures.p99_ms * 1e3,
        "p99.9": figures.p999_ms * 1e3,
        "max": figures.max_ms * 1e3,
    }


def percentiles(figures: Percentiles) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in marks(figures).items()) + " us"


def us(value_ms: float) -> str:
    return f"{value_ms * 1e3:.0f} us" if value_ms < 10 else f"{value_ms:.0f} ms"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min {rest:02d} s" if hours else f"{minutes} min {rest:02d} s"


def short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def flat(settings: Mapping[str, Any], path: str) -> dict[str, str]:
    """`path.key` -> value; durations in ms; per-joint settings are in another table."""
    rows: dict[str, str] = {}
    for key, value in settings.items():
        if key in ("limits", "start_distance", "joints", "state_names"):
            continue
        name = f"{path}.{key}"
        if isinstance(value, Mapping):
            rows |= flat(value, name)
        elif key.endswith("_ns"):
            times = value if isinstance(value, list) else [value]
            rows[name.removesuffix("_ns")] = ", ".join(f"{ns / 1e6:g} ms" for ns in times)
        elif isinstance(value, list):
            rows[name] = ", ".join(map(str, value))
        else:
            rows[name] = short(value)
    return rows
