"""No extreme is lost, however long the signal."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from actd.report.envelope import envelope, spans


@given(n=st.integers(1, 5000), bins=st.integers(1, 300), seed=st.integers(0, 9))
def test_extremes_survive(n: int, bins: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    t, y = np.cumsum(rng.uniform(0.01, 0.02, n)), rng.normal(0, 1, n)
    x, drawn = envelope(t, y, bins)
    assert np.nanmin(drawn) == y.min()
    assert np.nanmax(drawn) == y.max()
    assert len(x) <= max(2 * bins, 3 * bins)
    assert (np.diff(x) >= 0).all()
    assert t[0] <= x[0]
    assert x[-1] <= t[-1]


def test_a_hole_is_not_bridged() -> None:
    for step in (0.1, 0.001):  # drawn as it is, and in bins
        t = np.concatenate([np.arange(0, 1, step), np.arange(3, 4, step)])
        x, y = envelope(t, np.ones(len(t)), 300)
        assert len(x) == len(y)
        assert np.isnan(y[(x > 0.85) & (x < 3.05)]).any()


def test_nothing_commanded_stays_nothing() -> None:
    t = np.arange(5000) / 50
    _, drawn = envelope(t, np.where(t < 50, np.nan, 1.0), 100)
    assert np.isnan(drawn[:98]).all()
    assert (drawn[104:] == 1.0).all()


@given(flips=st.lists(st.booleans(), min_size=1, max_size=400), bins=st.integers(10, 300))
def test_every_moment_that_was_on_is_covered(flips: list[bool], bins: int) -> None:
    on = np.array(flips)
    t = np.arange(len(on)) * 0.02
    found = spans(t, on, bins)
    for moment in t[on]:
        assert any(start - 1e-9 <= moment <= start + length + 1e-9 for start, length in found)
    width = max(t[-1], 1.0) / bins
    covered = sum(length for _, length in found)
    # At most what was on, each moment lasting until the next, and two bins at its edges.
    runs = int((np.diff(on, prepend=False) & on).sum())
    assert covered <= on.sum() * 0.02 + 2 * width * runs + 1e-9


def test_the_length_of_a_stretch() -> None:
    t = np.arange(1001) * 0.01
    ((start, length),) = spans(t, (t >= 2.0) & (t < 4.0), 1000)
    assert abs(start - 2.0) <= 0.02
    assert abs(length - 2.0) <= 0.03
