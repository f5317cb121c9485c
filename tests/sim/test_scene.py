"""Where a scene lays its object."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.sim.scene import BAR


@given(st.floats(0, 0.18), st.floats(0.38, 0.66), st.floats(-0.5, 0.5), st.floats(0, 0.1))
def test_a_shift_is_as_long_as_asked_and_towards_the_middle(
    x: float, y: float, yaw: float, distance: float
) -> None:
    new_x, new_y, new_yaw = BAR.shifted((x, y, yaw), distance)
    middle = (0.09, 0.52)
    assert new_yaw == yaw
    if math.dist((x, y), middle) > 1e-6:
        assert math.dist((new_x, new_y), (x, y)) == pytest.approx(distance, abs=1e-9)
        left = abs(math.dist((x, y), middle) - distance)
        assert math.dist((new_x, new_y), middle) == pytest.approx(left, abs=1e-9)
