"""Observations gathered for calibration or for a verdict, and which of them are consecutive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actd.engine.base import Observation


@dataclass(frozen=True, slots=True)
class Frames:
    """Observations and where they came from.

    `runs` are half-open index ranges whose observations follow one another at the policy's
    rate, so that their chunks can be ensembled; random observations have none.
    """

    observations: Sequence[Observation]
    runs: tuple[tuple[int, int], ...]
    source: str

    def __len__(self) -> int:
        return len(self.observations)
