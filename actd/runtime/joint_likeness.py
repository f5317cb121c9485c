"""Where the joints are beside where the demonstrations were: a figure each, and words that last.

Pure: takes positions in order. It never stops anything.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from actd.arrays import Vector
from actd.runtime.debounce import Debounce
from actd.trained_range import beyond, outside

_BEGINS_NS = 2_000_000_000
_ENDS_NS = 2_000_000_000


class JointLikeness:
    """The joints of one robot; `low` and `high` as `actd.trained_range` takes them."""

    def __init__(self, names: Sequence[str], low: Sequence[float], high: Sequence[float]) -> None:
        self._names = names
        self._low, self._high = np.array(low), np.array(high)
        self._debounces = {name: Debounce(_BEGINS_NS, _ENDS_NS) for name in names}
        self._said: dict[str, str] = {}
        self.beyond: dict[str, float] = {}
        """Of each joint whose range in training is known: how far outside it, in widths of it."""

    def look(self, positions: Vector, now_ns: int) -> None:
        """Take in where the joints are; NaN where that is not known."""
        if np.isnan(positions).any():
            self.beyond = {}
            return
        self.beyond = beyond(self._names, positions, self._low, self._high)
        now = outside(self._names, positions, self._low, self._high)
        self._said |= now
        for name, debounce in self._debounces.items():
            debounce.look(name in now, now_ns)

    @property
    def words(self) -> list[str]:
        """A sentence for each joint that has been outside for a while."""
        return [self._said[name] for name, each in self._debounces.items() if each.lasts]
