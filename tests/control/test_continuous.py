"""Places on a circle: the shortest way, also over the end of a turn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.continuous import ContinuousJoints
from actd.control.state import Event
from tests.control.rig import Rig, settings

TURN = 2 * np.pi
ONE = ContinuousJoints(np.array([TURN, 0.0]))


@given(value=st.floats(-50, 50), reference=st.floats(-50, 50))
def test_near_is_the_same_place_within_half_a_turn(value: float, reference: float) -> None:
    near = ONE.near(np.array([value, value]), np.array([reference, 0.0]))
    assert abs(near[0] - reference) <= TURN / 2 + 1e-9
    assert np.cos(near[0] - value) == pytest.approx(1.0)
    assert near[1] == value


@given(value=st.floats(-50, 50))
def test_wrap_is_the_same_place_within_half_a_turn_of_zero(value: float) -> None:
    wrapped = ONE.wrap(np.array([value, value]))
    assert abs(wrapped[0]) <= TURN / 2 + 1e-9
    assert np.cos(wrapped[0] - value) == pytest.approx(1.0)
    assert wrapped[1] == value


def test_rows_over_the_end_of_a_turn_have_no_jump() -> None:
    rows = np.array([[3.0, 3.0], [3.1, 3.1], [-3.1, -3.1], [-3.0, -3.0]])
    unwrapped = ONE.unwrap(rows, np.array([-3.2, 0.0]))
    assert np.abs(np.diff(unwrapped[:, 0])).max() < 0.2
    assert abs(unwrapped[0, 0] + 3.2) < 0.1
    assert unwrapped[:, 1].tolist() == rows[:, 1].tolist()


def test_two_plans_on_either_side_of_the_end_agree() -> None:
    """3.1 and -3.1 are one place; their mean was 0, half a turn away."""
    rig = Rig(
        settings(1, mode="temporal", turn=TURN, kinds=("continuous",), lower=-1e9, upper=1e9),
        [3.12],
    )
    rig.armed([3.12])
    for k in range(20):
        chunk = rig.chunk([3.1 if k % 2 else -3.1])
        output = rig.tick(chunks=(chunk,))
        assert output.action is not None
        assert abs(output.action[0]) > 3.0


def test_a_turning_joint_goes_on_over_the_end_and_is_commanded_within_half_a_turn() -> None:
    angle = np.arange(100) / 50.0 + 2.5
    rows = (angle + np.pi) % TURN - np.pi
    rig = Rig(settings(1, turn=TURN, kinds=("continuous",), lower=-1e9, upper=1e9), [rows[0]])
    rig.armed(rows[:, None])
    commands = np.array([o.action[0] for o in rig.run(80) if o.action is not None])
    assert np.abs(commands).max() <= np.pi + 1e-9
    assert np.abs(np.diff(np.unwrap(commands))).max() < 0.03
    assert np.unwrap(commands)[-1] > 3.9
    assert rig.tick(Event.STOP).rest is not None
