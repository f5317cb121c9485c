"""Distances from recorded actions: by hand, and what must hold of any arrays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from actd.engine.distance import distance, targets

VALUES = st.floats(-100, 100, width=32)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and truths (N, steps, joints), some rows of the truth unknown, never all."""
    shape = draw(st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3)))
    predicted = draw(hnp.arrays(np.float64, shape, elements=VALUES))
    truth = draw(hnp.arrays(np.float64, shape, elements=VALUES))
    known = draw(hnp.arrays(np.bool_, shape[:2]))
    known[0, 0] = True
    return predicted, np.where(known[..., None], truth, np.nan)


def test_by_hand() -> None:
    recorded = np.array([[0, 0], [1, 10], [2, 20]], np.float32)
    truth = targets(recorded, [0, 2], 2)
    assert truth[0].tolist() == [[0, 0], [1, 10]]
    assert truth[1, 0].tolist() == [2, 20]
    assert np.isnan(truth[1, 1]).all()

    predicted = np.array([[[1, 0], [1, 14]], [[0, 20], [99, 99]]], np.float64)
    found = distance(predicted, truth)
    assert found.l1 == pytest.approx([(1 + 0 + 2) / 3, (0 + 4 + 0) / 3])
    assert found.l2 == pytest.approx([(1 + 0 + 4) / 3, (0 + 16 + 0) / 3])
    assert found.l1_by_step == pytest.approx(np.array([[1.5, 0], [0, 4]]))
    assert found.l2_by_step == pytest.approx(np.array([[2.5, 0], [0, 16]]))
    assert (found.steps_counted, found.steps) == (3, 4)
    std = np.array([0.5, 2.0])
    assert found.l1_std(std) == pytest.approx((1 / 0.5 + 4 / 3 / 2) / 2)
    assert found.l2_std(std) == pytest.approx((5 / 3 / 0.25 + 16 / 3 / 4) / 2)


def test_the_logged_loss_is_lerobots() -> None:
    """LeRobot's own sum, written out: padded steps are zeros in the mean of normalised errors."""
    chance = np.random.default_rng(3)
    recorded = chance.normal(size=(6, 3)).astype(np.float32)
    std = np.array([0.3, 1.0, 2.0])
    predicted = chance.normal(size=(6, 4, 3))
    total = 0.0
    for row in range(6):
        for step in range(4):
            if row + step < 6:
                total += float((np.abs(predicted[row, step] - recorded[row + step]) / std).sum())
    found = distance(predicted, targets(recorded, range(6), 4))
    assert found.lerobot_l1_loss(std) == pytest.approx(total / predicted.size)


@given(pairs())
def test_squares_are_at_least_the_square_of_the_mean(pair: tuple[np.ndarray, np.ndarray]) -> None:
    found = distance(*pair)
    assert (found.l2 >= found.l1**2 * (1 - 1e-9)).all()
    assert (found.l1 >= 0).all()


@given(pairs())
def test_what_is_beyond_the_end_does_not_count(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = pair
    elsewhere = np.where(np.isnan(truth), predicted + 1e6, predicted)
    first, second = distance(predicted, truth), distance(elsewhere, truth)
    assert np.array_equal(first.l1, second.l1)
    assert np.array_equal(first.l2_by_step, second.l2_by_step, equal_nan=True)


@given(pairs())
def test_steps_add_up_to_the_whole(pair: tuple[np.ndarray, np.ndarray]) -> None:
    predicted, truth = pair
    found = distance(predicted, truth)
    counts = np.isfinite(truth).all(axis=2).sum(axis=0)
    whole = np.nansum(found.l1_by_step * counts[:, None], axis=0) / counts.sum()
    assert whole == pytest.approx(found.l1, rel=1e-9, abs=1e-12)
    assert np.array_equal(np.isnan(found.l1_by_step).all(axis=1), counts == 0)


@given(pairs(), st.floats(-5, 5))
def test_a_constant_offset_is_the_distance(
    pair: tuple[np.ndarray, np.ndarray], offset: float
) -> None:
    _, truth = pair
    found = distance(truth + offset, truth)
    assert found.l1 == pytest.approx(np.full(truth.shape[2], abs(offset)), abs=1e-9)
    assert found.l2 == pytest.approx(np.full(truth.shape[2], offset**2), abs=1e-9)


def test_a_prediction_that_is_not_finite_is_infinitely_far() -> None:
    truth = np.zeros((2, 1, 2))
    for wrong in (np.nan, np.inf, -np.inf):
        predicted = truth.copy()
        predicted[1, 0, 1] = wrong
        assert distance(predicted, truth).l1.tolist() == [0.0, np.inf]


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(ValueError, match="no recorded action"):
        distance(np.zeros((1, 1, 1)), np.full((1, 1, 1), np.nan))
    with pytest.raises(ValueError, match=r"\(1, 2, 1\)"):
        distance(np.zeros((1, 2, 1)), np.zeros((1, 1, 1)))
