"""How old each stream may be: one table, read everywhere.

An age of None means the stream has never delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Oldest usable age per stream, and how long a gap may last before it is a fault.

    `controller_ns` is how long no controller may listen, `frozen_ns` how long a camera may show
    the same picture (0: as long as it likes).
    """

    state_ns: int = 200_000_000
    camera_ns: int = 500_000_000
    plan_ns: int = 1_000_000_000
    controller_ns: int = 500_000_000
    frozen_ns: int = 1_000_000_000
    fault_after_ns: int = 2_000_000_000


def is_stale(age_ns: int | None, limit_ns: int) -> bool:
    """Whether a stream of this age may not be used."""
    return age_ns is None or age_ns > limit_ns


def complaint(name: str, age_ns: int | None, limit_ns: int) -> str:
    """The sentence an operator reads about a stale stream."""
    if age_ns is None:
        return f"{name} has not delivered anything yet"
    return f"{name} is {age_ns / 1e6:.0f} ms old (limit {limit_ns / 1e6:.0f} ms)"


def stale_cameras(ages_ns: Mapping[str, int | None], limit_ns: int) -> tuple[str, ...]:
    """A complaint for every stale camera."""
    return tuple(
        complaint(f"camera {name}", age_ns, limit_ns)
        for name, age_ns in ages_ns.items()
        if is_stale(age_ns, limit_ns)
    )
