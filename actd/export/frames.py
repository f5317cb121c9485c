"""Observations for calibration or validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from actd.arrays import Vector
from actd.engine.base import Observation


@dataclass(frozen=True, slots=True)
class Recorded:
    """What people did: `actions` (N, chunk, joints) from each of N frames on, in physical units.

    NaN beyond the end of an episode. `episodes`: how many episodes they are from; `unseen`: the
    training is known to have left all of these out.
    """

    actions: Vector
    episodes: int
    unseen: bool


@dataclass(frozen=True, slots=True)
class Frames:
    """Observations and their source.

    `notes` are remarks about the source for the user, a line each. `recorded` are the actions of
    validation frames from a dataset of the policy's joints, else None.
    """

    observations: Sequence[Observation]
    source: str
    notes: tuple[str, ...] = ()
    recorded: Recorded | None = None

    def __len__(self) -> int:
        return len(self.observations)


def frames_text(count: int, source: str) -> str:
    """A number of frames as text: `6 synthetic frames`, `96 frames from PATH`."""
    return f"{count} synthetic frames" if source == "synthetic" else f"{count} frames from {source}"


def evenly(total: int, count: int) -> list[int]:
    """At most `count` of the indexes below `total`, evenly spaced."""
    count = min(total, count)
    return [i * total // count for i in range(count)]
