"""The state machine's promises, over the whole table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.control.state import MODE, MOVING, ORDERED, TRANSITIONS, Event, Phase, after, rejection
from actd.mode import Mode

OPERATOR = (
    Event.ARM,
    Event.HOLD,
    Event.STOP,
    Event.RESET,
    Event.PARK,
    Event.APPROACH,
    Event.TAKEOVER,
)
BEGIN = (Event.ARM, Event.PARK, Event.APPROACH, Event.TAKEOVER)


def test_only_an_operator_arms_a_daemon_that_was_idle_faulted_or_stopped() -> None:
    for (phase, event), to in TRANSITIONS.items():
        if to is Phase.ARMED and phase not in (Phase.GAP, Phase.APPROACHING):
            assert event is Event.ARM
            assert phase in (Phase.IDLE, Phase.HOLD, Phase.TAKEOVER)


def test_only_an_operator_moves_an_arm_that_rests() -> None:
    for (phase, event), to in TRANSITIONS.items():
        if to in MOVING:
            assert event in (Event.PARK, Event.APPROACH)
            assert phase in (Phase.IDLE, Phase.HOLD)


def test_only_an_operator_lets_a_leader_lead() -> None:
    begins = {event for (_, event), to in TRANSITIONS.items() if to is Phase.TAKEOVER}
    assert begins == {Event.TAKEOVER}
    # What is latched or moved is led by nobody before it was held or reset.
    for phase in (*MOVING, Phase.FAULT, Phase.STOP):
        assert rejection(phase, Event.TAKEOVER)


def test_a_takeover_ends_for_good() -> None:
    ends = {event: after(Phase.TAKEOVER, event) for event in Event}
    assert ends[Event.HOLD] is ends[Event.UNDERRUN] is Phase.HOLD
    assert ends[Event.FAULT] is Phase.FAULT
    assert ends[Event.RECOVER] is ends[Event.EXPIRE] is Phase.TAKEOVER
    assert ends[Event.ARM] is Phase.ARMED


def test_a_move_ends_where_it_was_to_lead_and_is_never_gone_on_with() -> None:
    assert after(Phase.PARKING, Event.ARRIVE) is Phase.HOLD
    assert after(Phase.APPROACHING, Event.ARRIVE) is Phase.ARMED
    for phase in set(ORDERED) - {Phase.TAKEOVER}:
        ends = {event: after(phase, event) for event in Event}
        assert ends[Event.HOLD] is ends[Event.UNDERRUN] is Phase.HOLD
        assert ends[Event.FAULT] is Phase.FAULT
        assert all(rejection(phase, event) for event in (*BEGIN, Event.RESET))


def test_stop_is_always_possible() -> None:
    assert all(after(phase, Event.STOP) is Phase.STOP for phase in Phase)


@given(st.lists(st.sampled_from([e for e in Event if e is not Event.RESET])))
def test_fault_and_stop_latch_until_reset(events: list[Event]) -> None:
    for start in (Phase.FAULT, Phase.STOP):
        phase = start
        for event in events:
            phase = after(phase, event)
            assert phase in (start, Phase.STOP)


@given(st.lists(st.sampled_from(list(Event))))
def test_nothing_moves_before_the_first_arm(events: list[Event]) -> None:
    phase = Phase.IDLE
    for event in events:
        if event in BEGIN:
            return
        phase = after(phase, event)
        assert phase in (Phase.IDLE, Phase.STOP)


def test_a_gap_never_outlives_an_operators_hold() -> None:
    assert after(Phase.GAP, Event.HOLD) is Phase.HOLD
    assert after(Phase.HOLD, Event.RECOVER) is Phase.HOLD


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("event", OPERATOR)
def test_what_is_refused_changes_nothing_and_says_why(phase: Phase, event: Event) -> None:
    why = rejection(phase, event)
    if why is None:
        assert (phase, event) in TRANSITIONS
    else:
        assert after(phase, event) is phase
        assert why


def test_every_phase_has_a_mode() -> None:
    assert set(MODE) == set(Phase)
    assert set(MODE.values()) == set(Mode)
