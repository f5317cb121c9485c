"""Which frames and which robot state belong together: one moment, seen by every stream.

Pure. A moment is the capture time of some camera's frame. Every camera gives its newest frame
up to then, the robot the state nearest to it; together they are an observation when they lie
close enough. A policy without cameras observes the state alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

ANY_SKEW_NS = 1 << 61
"""A limit that every set of parts keeps."""


class Times(NamedTuple):
    """What one stream still has: record numbers and their times, both (n,)."""

    numbers: NDArray[np.int64]
    t_ns: NDArray[np.int64]


class Pairing(NamedTuple):
    """One set of parts: those of the cameras in order, then the state.

    `t_ns` is the moment: the time of its newest frame. `numbers` are the records, `times_ns`
    their times.
    """

    t_ns: int
    numbers: tuple[int, ...]
    times_ns: tuple[int, ...]

    @property
    def skew_ns(self) -> int:
        """Between the oldest and the newest part."""
        return max(self.times_ns) - min(self.times_ns)

    @property
    def oldest(self) -> int:
        """Position of the part that lags behind the others."""
        return self.times_ns.index(min(self.times_ns))

    @property
    def newest(self) -> int:
        """Position of the part that the others lag behind."""
        return self.times_ns.index(max(self.times_ns))


def pair(frames: Sequence[Times], states: Times, max_skew_ns: int) -> Pairing | None:
    """The newest moment whose parts lie within `max_skew_ns` of one another; None without any."""
    moments = {int(t_ns) for stream in frames or (states,) for t_ns in stream.t_ns}
    for moment_ns in sorted(moments, reverse=True):
        pairing = _at(moment_ns, frames, states, max_skew_ns)
        if pairing is not None:
            return pairing
    return None


def _at(moment_ns: int, frames: Sequence[Times], states: Times, max_skew_ns: int) -> Pairing | None:
    earliest_ns = moment_ns - max_skew_ns
    parts = [_nearest(stream, moment_ns, earliest_ns, moment_ns) for stream in frames]
    oldest_ns = min((part[1] for part in parts if part is not None), default=moment_ns)
    # A state may be later than every frame, as long as the oldest frame is near enough to it.
    parts.append(_nearest(states, moment_ns, earliest_ns, oldest_ns + max_skew_ns))
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        return None
    numbers, times_ns = zip(*present, strict=True)
    return Pairing(moment_ns, numbers, times_ns)


def _nearest(
    stream: Times, moment_ns: int, earliest_ns: int, latest_ns: int
) -> tuple[int, int] | None:
    """Number and time of the record nearest to `moment_ns` within the bounds."""
    inside = np.flatnonzero((stream.t_ns >= earliest_ns) & (stream.t_ns <= latest_ns))
    if not inside.size:
        return None
    nearest = inside[np.abs(stream.t_ns[inside] - moment_ns).argmin()]
    return int(stream.numbers[nearest]), int(stream.t_ns[nearest])
