"""What a dataset tells of the motion in it: plain data, measured once and kept with the engine.

Units are those of the recorded numbers, times are seconds. `actd.datasets.motion` measures it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import isfinite

STATISTICS = ("min", "max", "mean", "std", "q01", "q99")

FeatureStatistics = Mapping[str, tuple[float, ...]]
"""Of each number of a feature, by one of STATISTICS; those that are known."""

PERCENTILE = 99.9
"""Of the rates of motion, over the rows at which a number changes."""

LASTING_S = 0.2
"""How long a distance between action and state must last to count."""


_FIRST_VECTOR = 4


@dataclass(frozen=True, slots=True)
class Motion:
    """How the actions of a dataset move, a value for each number of the action.

    `velocity`, `acceleration`, `jerk`: the PERCENTILE of changes from row to row, per s, s^2 and
    s^3; 0 where nothing moves. `start`: the first action of an episode, and `start_error` how far
    the measured state is from it, both medians. `follow_error`: the largest distance between action
    and measured state that lasted for LASTING_S. `resolution`: the steps in which the state is
    measured, where it is in steps. These are 0 for a joint that is not in the state.
    """

    source: str
    episodes: int
    rows: int
    fps: float
    velocity: tuple[float, ...]
    acceleration: tuple[float, ...]
    jerk: tuple[float, ...]
    start: tuple[float, ...]
    start_error: tuple[float, ...]
    follow_error: tuple[float, ...]
    resolution: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for numbers that cannot be."""
        if not 0 < self.fps < 1e9:
            raise ValueError(f"fps: {self.fps}")
        count = len(self.velocity)
        for field in fields(self)[_FIRST_VECTOR:]:
            name, values = field.name, getattr(self, field.name)
            if len(values) != count or not all(map(isfinite, values)):
                raise ValueError(f"{name}: need {count} finite numbers")
            if name != "start" and min(values, default=0.0) < 0:
                raise ValueError(f"{name}: {min(values)} is less than 0")


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """Everything that a dataset tells: of its numbers by feature key, and of the motion."""

    robot_type: str | None
    names: Mapping[str, tuple[str, ...]]
    statistics: Mapping[str, FeatureStatistics]
    motion: Motion
