"""An order is obeyed now and by the robot that is meant, or never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.requests import VALID_NS, rejection
from actd.control.state import Event

NOW = 10**12
BEGINS = (Event.ARM, Event.RESET, Event.TAKEOVER)
ENDS = (Event.HOLD, Event.STOP)


@pytest.mark.parametrize("event", BEGINS)
def test_a_fresh_order_for_this_robot_is_obeyed(event: Event) -> None:
    assert rejection(event, {"robot": "blue", "stamp_ns": NOW - VALID_NS}, "blue", NOW) == ""


@pytest.mark.parametrize("event", BEGINS)
def test_an_order_that_waited_is_not(event: Event) -> None:
    old = {"robot": "blue", "stamp_ns": NOW - VALID_NS - 1}
    assert "look at the arm" in rejection(event, old, "blue", NOW)
    hour = {"robot": "blue", "stamp_ns": NOW - 3600 * 10**9}
    assert "3600000 ms old" in rejection(event, hour, "blue", NOW)


@pytest.mark.parametrize("event", [*BEGINS, *ENDS])
def test_an_order_for_another_robot_is_not(event: Event) -> None:
    other = {"robot": "red", "stamp_ns": NOW}
    assert "this is robot blue" in rejection(event, other, "blue", NOW)


@given(stamp=st.one_of(st.none(), st.text(), st.floats(), st.integers(NOW + 1)))
def test_a_stamp_that_this_daemon_never_gave_is_not(stamp: object) -> None:
    for event in BEGINS:
        assert rejection(event, {"robot": "blue", "stamp_ns": stamp}, "blue", NOW)


@given(request=st.dictionaries(st.text(), st.integers()))
def test_what_ends_motion_needs_nothing(request: dict[str, int]) -> None:
    request.pop("robot", None)
    for event in ENDS:
        assert rejection(event, request, "blue", NOW) == ""
