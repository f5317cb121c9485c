"""Whether an engine is exact enough: what decides, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.engine.acceptance import AddedError, tolerance_excess
from actd.engine.recipe import Tolerance
from actd.engine.verify import Parity, compare

TOLERANCE = Tolerance(max_std=0.3, p99_std=0.06, added_error=0.02)
ERRORS = st.floats(1e-6, 10)


def parity(largest: float, usual: float = 0.0) -> Parity:
    """One joint, off by `usual` in all values but one of 200, which is off by `largest`."""
    found = np.full((4, 50, 1), usual, np.float32)
    found[0, 0, 0] = largest
    return compare(found, np.zeros_like(found), None)


def added(policy: float, engine: float) -> AddedError:
    return AddedError(policy, engine, episodes=20, unseen=True)


@given(policy=ERRORS, share=st.floats(-0.9, 2), largest=st.floats(0, 1), usual=st.floats(0, 1))
def test_the_added_error_and_the_largest_decide(
    policy: float, share: float, largest: float, usual: float
) -> None:
    both = parity(largest, usual)
    excess = tolerance_excess(both, TOLERANCE, added(policy, policy * (1 + share)))
    if abs(share - 0.02) > 1e-9:
        assert (excess == "") == (share < 0.02 and both.max_std <= 0.3)


@given(policy=ERRORS, shares=st.tuples(st.floats(0, 1), st.floats(0, 1)), largest=st.floats(0, 1))
def test_a_nearer_engine_is_never_refused_where_a_farther_one_passes(
    policy: float, shares: tuple[float, float], largest: float
) -> None:
    near, far = sorted(shares)
    if not tolerance_excess(parity(largest), TOLERANCE, added(policy, policy * (1 + far))):
        nearer = tolerance_excess(
            parity(largest / 2), TOLERANCE, added(policy, policy * (1 + near))
        )
        assert not nearer


@given(largest=st.floats(0, 1), usual=st.floats(0, 1))
def test_without_recorded_actions_the_percentile_decides(largest: float, usual: float) -> None:
    both = parity(largest, usual)
    fixed = both.p99_std <= 0.06 and both.max_std <= 0.3
    assert (tolerance_excess(both, TOLERANCE) == "") == fixed
    exact = TOLERANCE.model_copy(update={"added_error": None})
    assert (tolerance_excess(both, exact, added(0.1, 9.0)) == "") == fixed


@pytest.mark.parametrize("engine", [np.nan, np.inf])
def test_an_answer_that_is_no_number_is_refused(engine: float) -> None:
    assert tolerance_excess(parity(0.0), TOLERANCE, added(0.1, engine))
    assert tolerance_excess(parity(np.nan), TOLERANCE, added(0.1, 0.1))


def test_a_perfect_policy_can_only_get_worse() -> None:
    assert not tolerance_excess(parity(0.0), TOLERANCE, added(0.0, 0.0))
    assert tolerance_excess(parity(0.0), TOLERANCE, added(0.0, 1e-9))


def test_the_sentence_has_every_figure() -> None:
    assert added(0.1131, 0.1136).text == (
        "adds 0.4 % to the policy's own error (0.1131 → 0.1136 std, 20 unseen episodes)"
    )
    seen = AddedError(0.05, 0.0499, episodes=1, unseen=False).text
    assert seen.startswith("adds nothing to")
    assert seen.endswith("1 episode that training may have seen)")
    excess = tolerance_excess(parity(0.1), TOLERANCE, added(0.1, 0.11))
    assert "adds 10.0 %" in excess
    assert "allowed 2 %" in excess
    assert "0.1 std, allowed 0.3" in excess
