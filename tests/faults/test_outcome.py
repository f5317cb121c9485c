"""What must follow a fault is judged on lives made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.life import Life, Span
from tests.faults.lives import (
    ARMED,
    BOUNDS,
    FAULT,
    HOLD,
    IDLE,
    MS,
    STOP,
    at,
    change,
    driven,
    still,
)
from tests.faults.outcome import Outcome, missed, observe, unannounced


def told_of(life: Life, outcome: Outcome, begin_ns: int = at(6), end_ns: int = 0) -> str:
    return "; ".join(missed(life, Span(begin_ns, end_ns), outcome, BOUNDS))


def test_deadlines_count_from_the_fault_in_the_daemons_clock() -> None:
    life = still((5, ARMED, 0), (30, HOLD, 0), (5, FAULT, 0))
    due = Outcome("", frozenset({FAULT}), held_ms=100, faulted_ms=700)
    assert told_of(life, due, at(5)) == ""
    assert "HOLD/FAULT/STOP after" in told_of(life, due, at(5) - 200 * MS)
    never = Outcome("", frozenset({HOLD, FAULT}), held_ms=1)
    assert "never HOLD/FAULT/STOP" in told_of(still((9, ARMED, 0)), never)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome("", frozenset({IDLE})), "FAULT at the end, not IDLE"),
        (Outcome("", frozenset({FAULT}), steady=True), "HOLD was seen, not only FAULT"),
        (Outcome("", frozenset({FAULT}), says="two programs"), "nothing says 'two programs'"),
        (Outcome("", frozenset({FAULT}), silent=True), "sent while nothing could be"),
        (Outcome("", frozenset({FAULT}), announced=True), "its last words were FAULT, FAULT"),
    ],
)
def test_each_thing_that_does_not_follow_is_told(outcome: Outcome, words: str) -> None:
    life = still((5, ARMED, 0), (10, HOLD, 0), (9, FAULT, 0))
    assert words in told_of(life, outcome, end_ns=at(20))


def test_a_mode_may_not_even_be_left_for_a_tick() -> None:
    steady = Outcome("", frozenset({STOP}), steady=True)
    life = still((20, STOP, 0))
    assert told_of(life, steady) == ""
    assert "FAULT was seen" in told_of(change(12, mode=FAULT)(life), steady)


def test_silence_is_judged_while_the_fault_lasts() -> None:
    silent = Outcome("", frozenset({ARMED}), silent=True)
    life = still((5, ARMED, 0), (5, ARMED, 900))
    assert told_of(life, silent, at(5), at(50)) == ""
    assert "sent while nothing could be" in told_of(life, silent, at(5), at(54))
    seen = observe(life, Span(at(5), at(50)), BOUNDS)
    assert seen.words == "silent for 920 ms"
    assert seen.reaction_ms == pytest.approx(100)


def ending(*left_ms: float) -> Life:
    """HOLD, and then STOP with so much motion left in each of its messages."""
    life = still((5, ARMED, 0), (5, HOLD, 0), (len(left_ms), STOP, 0))
    for place, ms in enumerate(left_ms):
        life = change(11 + place, rest_ms=ms)(life)
    return life


@pytest.mark.parametrize(
    ("life", "words"),
    [
        (ending(0, 0, 0), ""),
        (ending(0, 0, 200), "STOP with 200 ms of motion left"),
        (ending(40, 0, 0), "40 ms too early"),
        (still((5, ARMED, 0)), "not STOP"),
    ],
)
def test_the_end_is_announced_at_rest(life: Life, words: str) -> None:
    told = "; ".join(unannounced(life))
    assert words in told
    assert bool(words) == bool(told)


def test_an_arm_that_still_moves_at_the_end_is_told() -> None:
    life = ending(0, 0, 0)
    arm = [*life.arm[:-1], life.arm[-1]._replace(speed=0.4)]
    assert "the arm still moves" in "; ".join(unannounced(replace(life, arm=arm)))


def test_what_is_seen_of_the_arm_counts_from_the_fault_and_not_what_a_hand_does() -> None:
    life = driven()
    arm = [
        s._replace(speed=4.0, driven=s.t_ns < at(10)) if s.t_ns < at(12) else s for s in life.arm
    ]
    seen = observe(replace(life, arm=arm), Span(at(10), 0), BOUNDS)
    assert seen.speed < 4.0
    assert seen.reaction_ms is None
