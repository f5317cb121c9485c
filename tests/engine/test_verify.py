"""Error statistics: the numbers that decide whether an engine may be used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.engine.verify import compare


def chunks(seed: int, joints: int = 4) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((3, 10, joints)).astype(np.float32)


def test_equal_is_zero() -> None:
    parity = compare(chunks(0), chunks(0), None)
    assert (parity.max, parity.p99, parity.mean, parity.observations) == (0, 0, 0, 3)


@given(st.integers(0, 2), st.integers(0, 9), st.integers(0, 3), st.floats(0.5, 50))
@settings(max_examples=40, deadline=None)
def test_one_error_is_found_where_it_is(i: int, k: int, joint: int, off: float) -> None:
    expected = chunks(1)
    found = expected.copy()
    found[i, k, joint] += np.float32(off)
    parity = compare(found, expected, [1.0, 2.0, 4.0, 8.0])
    assert parity.worst_joint == joint
    assert parity.max == pytest.approx(off, rel=1e-4)
    assert parity.max_std == pytest.approx(off / 2**joint, rel=1e-4)
    assert parity.mean == pytest.approx(off / 30, rel=1e-4)


def test_worst_joint_is_worst_in_its_own_units() -> None:
    expected = np.zeros((1, 2, 2), np.float32)
    found = expected + np.array([10.0, 1.0], np.float32)
    assert compare(found, expected, [100.0, 0.1]).worst_joint == 1
    assert compare(found, expected, None).worst_joint == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_an_infinite_error(bad: float) -> None:
    found = chunks(2)
    found[0, 0, 2] = bad
    parity = compare(found, chunks(2), None)
    assert (parity.worst_joint, parity.max_std) == (2, np.inf)


def test_joint_that_never_moves_counts_in_physical_units() -> None:
    found = np.full((1, 1, 1), 0.25, np.float32)
    assert compare(found, np.zeros_like(found), [0.0]).max_std == 0.25


def test_shapes_must_match() -> None:
    with pytest.raises(ValueError, match="equal"):
        compare(chunks(0), chunks(0, joints=3), None)
