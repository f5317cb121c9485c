"""What is checked before the arm moves, in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actd.control.arming import plausible_range, unlike_training
from actd.control.limits import Limits
from actd.control.state import Event
from actd.mode import Mode
from tests.control.rig import MS, Rig, settings


def rejection(rig: Rig, **changes: Any) -> str:
    output = rig.tick(Event.ARM, **changes)
    assert output.mode is Mode.IDLE
    return output.answers[0].error


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state_age_ns": None}, "robot state has not delivered"),
        ({"state_age_ns": 300 * MS}, "robot state is 300 ms old (limit 200 ms)"),
        (
            {"state_age_ns": None, "state_problem": "robot state: 8 messages refused: j0 missing"},
            "8 messages refused: j0 missing",
        ),
        ({"camera_ages_ns": {"top": None}}, "camera top has not delivered"),
        ({"camera_ages_ns": {"top": 900 * MS}}, "camera top is 900 ms old (limit 300 ms)"),
        ({"controller_age_ns": None}, "no robot controller acknowledges"),
        ({"controller_age_ns": 400 * MS}, "acknowledged no action for 400 ms (limit 300 ms)"),
        ({"rivals": True}, "two programs send the robot's state"),
        (
            {"camera_unchanged_ns": {"top": 1500 * MS}},
            "camera top has shown the same image for 1500 ms (limit 500 ms)",
        ),
        ({"positions": np.array([0.0, -0.9])}, "joint j1: the policy's first command is 0.9"),
    ],
)
def test_arming_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    rig = Rig(settings())
    rig.tick(chunks=(rig.chunk(0.0),))
    assert reason in rejection(rig, **changes)


def test_all_reasons_come_at_once() -> None:
    error = rejection(Rig(settings()), state_age_ns=None, controller_age_ns=None)
    assert error.count(" | ") == 2
    assert "the chunk has not delivered" in error


def test_a_first_command_in_another_unit_is_measured_as_it_is() -> None:
    """45 degrees for an arm in radians, near its limit: clipped, it was close enough."""
    rig = Rig(settings(1), 2.9)
    rig.tick(chunks=(rig.chunk([3.6]),))
    assert "first command is 0.7" in rejection(rig)


def test_values_far_outside_the_limits_are_no_plan() -> None:
    rig = Rig(settings(2), 0.0)
    rig.tick(chunks=(rig.chunk([0.0, 45.0]),))
    error = rejection(rig)
    assert "joint j1: the policy commands 45 to 45, far outside its limits" in error
    assert "units" in error


def test_a_policy_that_begins_to_command_nonsense_is_held() -> None:
    rig = Rig(settings(1), 0.0)
    rig.armed([0.0], usable_ns=300 * MS)
    for _ in range(40):
        output = rig.tick(chunks=(rig.chunk([1e30], usable_ns=300 * MS),))
    assert output.mode is not Mode.ARMED
    assert np.abs(rig.commands()).max() == 0.0


def test_a_plan_from_the_future_does_not_keep_later_ones_out() -> None:
    rig = Rig(settings(1), 0.0)
    rig.tick(chunks=(rig.chunk([0.1], age_ns=-(10**12)),))
    rig.tick(chunks=(rig.chunk([0.2]),))
    assert rig.tick(Event.ARM).mode is Mode.ARMED


def test_where_training_never_was_is_named_and_no_reason_to_refuse() -> None:
    rig = Rig(settings(2, trained_low=[-1.0, 0.5], trained_high=[1.0, 0.9]), 0.0)
    rig.tick(chunks=(rig.chunk(0.0),))
    output = rig.tick(Event.ARM)
    assert output.mode is Mode.ARMED
    assert output.answers[0].warnings == ("joint j1 is 0, training never left 0.5 to 0.9",)


def test_radians_for_degrees_are_named_though_they_lie_within() -> None:
    trained = {"trained_low": [-90.0] * 3, "trained_high": [95.0] * 3}
    rig = Rig(settings(3, **trained), 0.7)
    rig.tick(chunks=(rig.chunk(0.7),))
    (warning,) = rig.tick(Event.ARM).answers[0].warnings
    assert warning.startswith("joints: none of 3 values reaches a tenth of what it was in training")


def test_unknown_ranges_warn_of_nothing() -> None:
    nothing = np.array([-np.inf]), np.array([np.inf])
    assert unlike_training(["a"], np.array([1e6]), *nothing) == ()


def test_what_may_be_meant_reaches_half_a_range_beyond_the_limits() -> None:
    limits = Limits(np.array([-1.0, 0.0]), np.array([1.0, 1.0]), np.ones(2), np.ones(2))
    low, high = plausible_range(limits)
    assert low.tolist() == [-2.0, -0.5]
    assert high.tolist() == [2.0, 1.5]
