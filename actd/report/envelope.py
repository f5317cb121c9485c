"""Downsample long signals for drawing without losing an extreme. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector

BINS = 600


def envelope(t: Vector, y: Vector, bins: int = BINS) -> tuple[Vector, Vector]:
    """A polyline of `y` over rising `t`, both (n,), of at most 3 * `bins` points.

    Short signals are returned unchanged. Of longer ones, every bin of time gives its smallest and
    largest value. NaN separates both sides of a hole.
    """
    if len(t) <= 2 * bins:
        return _with_holes(t, y)
    places = bin_of(t, t[0], t[-1], bins)
    first = np.flatnonzero(np.diff(places, prepend=-1))
    occupied = places[first]
    low, high = np.fmin.reduceat(y, first), np.fmax.reduceat(y, first)
    centre = t[0] + (occupied + 0.5) * (t[-1] - t[0]) / bins
    # The third column becomes NaN where the next bin that has values is not the next bin.
    hole = np.diff(occupied, append=occupied[-1] + 1) > 1
    x = np.stack([centre, centre, centre], axis=1).ravel()
    values = np.stack([low, high, np.full(len(occupied), np.nan)], axis=1).ravel()
    keep = np.stack([np.ones_like(hole), np.ones_like(hole), hole], axis=1).ravel()
    return x[keep], values[keep]


def spans(t: Vector, on: NDArray[np.bool_], bins: int = BINS) -> list[tuple[float, float]]:
    """(start, length) of the stretches of `t` where `on`, each a bin long at least.

    What is on at one moment is on until the next one; stretches within one bin are merged.
    """
    turns = np.flatnonzero(np.diff(on, prepend=False, append=False))
    starts, ends = turns[::2], np.minimum(turns[1::2], len(t) - 1)
    last = t[-1] if t[-1] > t[0] else t[0] + 1.0
    depth = np.zeros(bins + 1, dtype=np.int64)
    np.add.at(depth, bin_of(t[starts], t[0], last, bins), 1)
    np.add.at(depth, bin_of(t[ends], t[0], last, bins) + 1, -1)
    edges = np.flatnonzero(np.diff(np.cumsum(depth) > 0, prepend=False))
    width = (last - t[0]) / bins
    return [
        (float(t[0] + start * width), float((end - start) * width))
        for start, end in zip(edges[::2], edges[1::2], strict=True)
    ]


def bin_of(t: Vector, start: float, end: float, bins: int) -> NDArray[np.int64]:
    """Which of `bins` equal parts of [start, end] each moment lies in."""
    places = ((t - start) * (bins / (end - start))).astype(np.int64)
    return np.clip(places, 0, bins - 1)


def _with_holes(t: Vector, y: Vector) -> tuple[Vector, Vector]:
    steps = np.diff(t)
    if not len(steps):
        return t, y
    holes = np.flatnonzero(steps > 5 * np.median(steps)) + 1
    return np.insert(t, holes, t[holes - 1]), np.insert(y, holes, np.nan)
