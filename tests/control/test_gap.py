"""How much gap adds up, and what must be the same after one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.gap import Engagement, GapBudget
from actd.control.tick import Inputs

SAME = Inputs(
    due_ns=0,
    positions=None,
    state_age_ns=None,
    camera_ages_ns={},
    camera_unchanged_ns={},
    controller_age_ns=None,
    source=3,
    openings=2,
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"rivals": True}, "two programs"),
        ({"source": 4}, "restarted"),
        ({"openings": 3}, "camera was reopened"),
    ],
)
def test_motion_goes_on_only_with_the_arm_and_the_cameras_it_was_allowed_for(
    change: dict[str, int], reason: str
) -> None:
    said = Engagement(source=3, openings=2).changed(SAME._replace(**change), cameras=True)
    assert reason in said if reason else said == ""


@given(gap_ns=st.integers(0, 2_000_000_000))
def test_a_single_gap_within_its_limit_is_within_the_budget(gap_ns: int) -> None:
    budget = GapBudget(2_000_000_000)
    budget.begin()
    budget.pass_time(gap_ns, gap=True)
    assert not budget.spent


def test_gaps_that_come_again_use_it_up_and_time_gives_it_back() -> None:
    budget = GapBudget(2_000_000_000)
    for _ in range(6):
        budget.begin()
        budget.pass_time(200_000_000, gap=True)
        budget.pass_time(1_000_000_000, gap=False)
    assert budget.spent
    budget.pass_time(40_000_000_000, gap=False)
    assert not budget.spent
