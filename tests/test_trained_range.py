from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.trained_range import outside, smaller_unit

NAMES = ("pan", "lift", "elbow", "roll", "gripper")
# An arm of the SO-101's kind, recorded in degrees, gripper 0 to 100.
LOW = (-60.0, -98.0, -20.0, 10.0, 1.0)
HIGH = (70.0, 40.0, 95.0, 90.0, 60.0)

shares = st.lists(st.floats(0, 1), min_size=5, max_size=5)


def test_a_number_is_named_where_training_never_was() -> None:
    values = (0.0, -120.0, 100.0, 50.0, 5.0)
    assert outside(NAMES, values, LOW, HIGH) == {
        "lift": "lift is -120, training never left -98 to 40"
    }
    still = outside(["hip"], [45.8], [45.3], [45.3])
    assert still == {"hip": "hip is 45.8, training never left 45.3"}


def test_what_is_not_known_is_not_named() -> None:
    endless = [-np.inf] * 5, [np.inf] * 5
    assert outside(NAMES, [1e9] * 5, *endless) == {}
    assert smaller_unit(NAMES, [1e-9] * 5, *endless) == ""
    assert smaller_unit(NAMES, [0.01] * 5, [0.0] * 5, [0.0] * 5) == ""


@given(shares)
def test_a_place_of_training_is_never_named(share: list[float]) -> None:
    values = np.array(LOW) + np.array(share) * (np.array(HIGH) - np.array(LOW))
    assert outside(NAMES, values, LOW, HIGH) == {}


@given(shares)
def test_radians_for_degrees_are_named_wherever_the_arm_stands(share: list[float]) -> None:
    degrees = np.array(LOW) + np.array(share) * (np.array(HIGH) - np.array(LOW))
    words = smaller_unit(NAMES, np.deg2rad(degrees), LOW, HIGH)
    assert "radians for degrees" in words or np.count_nonzero(degrees) < 3


@pytest.mark.parametrize(
    "values",
    [
        (0.0, -1.0, 1.0, 15.0, 2.0),  # roll is where only degrees take it
        (0.0, 0.0, 0.0, 0.0, 0.0),  # a zero is one in any unit
        (0.0, 0.0, 0.0, 0.5, 0.5),  # too few to tell
    ],
)
def test_the_unit_of_training_is_not_named(values: tuple[float, ...]) -> None:
    assert smaller_unit(NAMES, values, LOW, HIGH) == ""


def test_the_words_give_the_widest() -> None:
    assert smaller_unit(NAMES, np.deg2rad([10, -60, 40, 50, 30]), LOW, HIGH) == (
        "none of 5 values reaches a tenth of what it was in training (lift 1.05, training reached "
        "98): radians for degrees, or metres for millimetres?"
    )
