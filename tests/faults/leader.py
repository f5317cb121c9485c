"""A leader arm with a hand on it: where it is, and what is told of that."""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

from actd.arrays import Vector
from actd.link.age import boottime_ns

REACH = 0.4
"""How far the hand takes every joint to both sides, rad."""
_PERIOD_S = 4.0


class Led(NamedTuple):
    """Where the leader truly was, (joints,), and when."""

    t_ns: int
    place: tuple[float, ...]


class Hand:
    """It sways every joint of the leader round `origin` (joints,), from there on."""

    def __init__(self, origin: Vector) -> None:
        self._origin = origin
        self._began_s = time.monotonic()

    def place(self) -> Led:
        """Where it is now."""
        turns = (time.monotonic() - self._began_s) / _PERIOD_S
        place = self._origin + REACH * np.sin(2 * np.pi * turns)
        return Led(boottime_ns(), tuple(place.tolist()))
