"""Observations gathered for calibration or for a verdict, and which of them are consecutive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actd.engine.base import Observation


@dataclass(frozen=True, slots=True)
class Frames:
    """Observations and where they came from.

    `runs` are half-open index ranges whose observations follow one another at the rate of the
    recording, so that their chunks can be ensembled; random observations have none. `notes` are
    what the user should know of the source, a line each.
    """

    observations: Sequence[Observation]
    runs: tuple[tuple[int, int], ...]
    source: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.observations)


def evenly(total: int, count: int) -> list[int]:
    """At most `count` of the indexes below `total`, evenly spaced."""
    count = min(total, count)
    return [i * total // count for i in range(count)]
