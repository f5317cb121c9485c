"""How old each stream may be: one table, read everywhere.

The tick, inference and status judge a stream by the same functions, and say so in the same
words. An age of None means the stream has never delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Oldest usable age per stream, and how long a gap may last before it is a fault.

    `chunk_ns` 0: as long as each chunk says of itself. `controller_ns` is how old the newest action
    may be that the robot has acknowledged, `frozen_ns` how long a camera may show the same image
    (0: as long as it likes), `fault_after_ns` also how much gap may add up (see `GapBudget`).
    """

    state_ns: int = 200_000_000
    camera_ns: int = 300_000_000
    chunk_ns: int = 0
    controller_ns: int = 300_000_000
    frozen_ns: int = 500_000_000
    fault_after_ns: int = 2_000_000_000


def is_stale(age_ns: int | None, limit_ns: int) -> bool:
    """Whether a stream of this age may not be used."""
    return age_ns is None or age_ns > limit_ns


def is_frozen(unchanged_ns: int, limit_ns: int) -> bool:
    """Whether a camera that has shown one image for this long may not be used."""
    return 0 < limit_ns < unchanged_ns


def diagnostic(name: str, age_ns: int | None, limit_ns: int) -> str:
    """The sentence an operator reads about a stale stream."""
    if age_ns is None:
        return f"{name} has not delivered anything yet"
    return f"{name} is {age_ns / 1e6:.0f} ms old (limit {limit_ns / 1e6:.0f} ms)"


def camera_diagnostic(
    name: str, age_ns: int | None, unchanged_ns: int, limits: MaxAge
) -> str | None:
    """The sentence about a camera that may not be used, None for one that may."""
    if is_stale(age_ns, limits.camera_ns):
        return diagnostic(f"camera {name}", age_ns, limits.camera_ns)
    if is_frozen(unchanged_ns, limits.frozen_ns):
        return (
            f"camera {name} has shown the same image for {unchanged_ns / 1e6:.0f} ms "
            f"(limit {limits.frozen_ns / 1e6:.0f} ms)"
        )
    return None


def camera_diagnostics(
    ages_ns: Mapping[str, int | None], unchanged_ns: Mapping[str, int], limits: MaxAge
) -> list[str]:
    """A sentence for every camera that may not be used."""
    judged = (
        camera_diagnostic(name, ages_ns[name], unchanged_ns[name], limits) for name in ages_ns
    )
    return [sentence for sentence in judged if sentence is not None]
