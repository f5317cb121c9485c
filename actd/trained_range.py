"""Numbers beside the range that they had in the training data, in words. Pure.

Arguments are arrays of one size (D,): `values` now, `low` and `high` the smallest and largest in
training, infinite where not known, and a name for each.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

# How far beyond its range a number may be, by that range, before it is named.
MARGIN = 0.1
# A float32 that never changed may still differ in its last digit.
_ROUNDING = 1e-6
# Radians are a fifty-seventh of degrees, metres a thousandth of millimetres.
_TINY = 0.1
_FEWEST = 3
_FURTHEST = 100.0


def outside(
    names: Sequence[str], values: ArrayLike, low: ArrayLike, high: ArrayLike
) -> dict[str, str]:
    """A sentence for each number that is where the training data never were, by its name."""
    values, low, high = (np.asarray(part, np.float64) for part in (values, low, high))
    with np.errstate(invalid="ignore"):
        margin = MARGIN * (high - low) + _ROUNDING * np.maximum(np.abs(low), np.abs(high))
        # not where an end is infinite, which makes the margin so
        far = np.flatnonzero((values < low - margin) | (values > high + margin)).tolist()
    return {
        names[i]: f"{names[i]} is {values[i]:.4g}, training never left {_between(low[i], high[i])}"
        for i in far
    }


def beyond(
    names: Sequence[str], values: ArrayLike, low: ArrayLike, high: ArrayLike
) -> dict[str, float]:
    """How far outside its range each number is, in widths of it, by its name; 0 inside.

    Numbers whose range is not known are left out.
    """
    values, low, high = (np.asarray(part, np.float64) for part in (values, low, high))
    widths = {}
    for name, value, least, most in zip(names, values, low, high, strict=True):
        if np.isfinite(least) and np.isfinite(most):
            width = max(most - least, _ROUNDING * max(abs(least), abs(most)), _ROUNDING)
            distance = max(0.0, least - value, value - most) / width
            widths[name] = round(min(float(distance), _FURTHEST), 3)
    return widths


def smaller_unit(names: Sequence[str], values: ArrayLike, low: ArrayLike, high: ArrayLike) -> str:
    """A sentence where all numbers are so small beside training's that they are in another unit.

    `values` may be each number's largest distance from 0 over some time: the longer, the surer.
    "" where there is no reason to say so, or too few numbers to tell.
    """
    size = np.abs(np.asarray(values, np.float64))
    reach = np.maximum(np.abs(np.asarray(low, np.float64)), np.abs(np.asarray(high, np.float64)))
    # A pose of zeros is a zero in any unit.
    known = np.isfinite(reach) & (reach > 0) & (size > 0)
    if known.sum() < _FEWEST or (size[known] >= _TINY * reach[known]).any():
        return ""
    widest = int(np.argmax(np.where(known, reach, 0)))
    example = f"{names[widest]} {size[widest]:.3g}, training reached {reach[widest]:.4g}"
    return (
        f"none of {known.sum()} values reaches a tenth of what it was in training ({example}): "
        "radians for degrees, or metres for millimetres?"
    )


def _between(low: float, high: float) -> str:
    lowest, highest = f"{low:.4g}", f"{high:.4g}"
    return lowest if lowest == highest else f"{lowest} to {highest}"
