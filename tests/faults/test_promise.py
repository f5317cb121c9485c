"""The judge is tested on logs made by hand: a good one passes, each broken promise is told."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.control.guard import Guard, Limits
from actd.link.messages import Action
from actd.mode import Mode
from tests.faults.promise import (
    MARGIN_NS,
    Bounds,
    Operated,
    Outcome,
    Received,
    Span,
    describe,
    judge,
    no_rest,
    wild_steps,
)

BOUNDS = Bounds(
    period_ns=20_000_000,
    position=1.0,
    velocity=2.0,
    acceleration=20.0,
    fault_after_ns=1_000_000_000,
    ttl_ns=100_000_000,
)
START_NS = 10**9
DRIVING = Outcome("motion goes on", frozenset({Mode.ARMED}))
Log = list[Received]


def message(seq: int, mode: Mode, position: float | None, *, late_ns: int = 0) -> Received:
    t_ns = START_NS + seq * BOUNDS.period_ns + late_ns
    action = {} if position is None else {"a": position, "b": 0.0}
    return Received(
        t_ns + 100_000,
        Action(seq, 0.0, t_ns, BOUNDS.ttl_ns / 1e6, mode, action, 1, 1.0, 1, 1.0, 1.0, 0),
    )


def guarded(targets: list[float], mode: Mode = Mode.ARMED, first_seq: int = 1) -> Log:
    """What the real guard makes of any wish."""
    guard = Guard(
        Limits(
            lower=np.array([-1.0]),
            upper=np.array([1.0]),
            velocity=np.array([2.0]),
            acceleration=np.array([20.0]),
            jerk=np.array([np.inf]),
        ),
        BOUNDS.period_ns,
    )
    guard.reset(np.zeros(1))
    commands = [float(guard.step(np.array([target]))[0][0]) for target in targets]
    log = [message(0, Mode.IDLE, None), message(first_seq, mode, 0.0)]
    return log + [message(first_seq + 1 + k, mode, c) for k, c in enumerate(commands)]


ARM = Operated(START_NS, "arm")
WHOLE = Span(0, 10**18)


def broken(
    log: Log,
    outcome: Outcome = DRIVING,
    operated: tuple[Operated, ...] = (ARM,),
    span: Span = WHOLE,
) -> str:
    return "; ".join(judge(log, operated, span, outcome, BOUNDS))


@settings(max_examples=60, deadline=None)
@given(
    targets=st.lists(st.floats(-5, 5), min_size=5, max_size=60),
    lost=st.sets(st.integers(3, 60)),
)
def test_whatever_the_guard_lets_through_is_never_wild(
    targets: list[float], lost: set[int]
) -> None:
    log = [heard for heard in guarded(targets) if heard.action.seq not in lost]
    assert list(wild_steps(log, BOUNDS)) == []


def test_a_good_life_breaks_nothing() -> None:
    log = guarded([0.5] * 40)
    assert broken(log) == ""
    assert describe(log, Span(0, 0), BOUNDS).startswith("ARMED after")


def change(index: int, **fields: object) -> Callable[[Log], Log]:
    from dataclasses import replace

    def changed(log: Log) -> Log:
        action = replace(log[index].action, **fields)  # type: ignore[arg-type]
        return [*log[:index], log[index]._replace(action=action), *log[index + 1 :]]

    return changed


def from_then_on(index: int, mode: Mode) -> Callable[[Log], Log]:
    def changed(log: Log) -> Log:
        for place in range(index, len(log)):
            log = change(place, mode=mode)(log)
        return log

    return changed


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change(20, action={"a": 0.9, "b": 0.0}), "speed"),
        (change(20, action={"a": 1.5, "b": 0.0}), "position 1.5 of 1"),
        (change(41, action={"a": 0.46, "b": 0.0}), "speed changed by"),
        (change(20, seq=5), "seq 5 follows"),
        (change(20, t_mono_ns=START_NS), "sent before the message it follows"),
        (change(20, ttl_ms=5000.0), "ttl of 5000 ms"),
        (from_then_on(20, Mode.FAULT), "FAULT at the end"),
        (lambda log: from_then_on(4, Mode.HOLD)(log)[:9], "sped up in HOLD"),
        (from_then_on(2, Mode.STOP), "still moving after"),
    ],
)
def test_each_broken_promise_is_told(spoil: Callable[[Log], Log], words: str) -> None:
    assert words in broken(spoil(guarded([0.5] * 40)))


def still(*stretches: tuple[int, Mode, int]) -> Log:
    """An arm at rest: (ticks, mode, ns of silence before) one after the other."""
    log, seq, late_ns = [message(0, Mode.IDLE, None)], 1, 0
    for ticks, mode, silence_ns in stretches:
        late_ns += silence_ns
        log += [message(seq + k, mode, 0.0, late_ns=late_ns) for k in range(ticks)]
        seq += ticks
    return log


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (still((5, Mode.ARMED, 0), (10, Mode.HOLD, 0), (5, Mode.ARMED, 0)), ""),
        (still((5, Mode.ARMED, 0), (60, Mode.HOLD, 0), (5, Mode.ARMED, 0)), "HOLD became ARMED"),
        (still((5, Mode.ARMED, 0), (9, Mode.FAULT, 0), (5, Mode.ARMED, 0)), "FAULT became ARMED"),
        (still((5, Mode.ARMED, 0), (9, Mode.IDLE, 0), (5, Mode.ARMED, 0)), "IDLE became ARMED"),
        (still((5, Mode.ARMED, 0), (5, Mode.ARMED, 9 * 10**8)), ""),
        (still((5, Mode.ARMED, 0), (5, Mode.ARMED, 2 * 10**9)), "after 2020 ms of silence"),
    ],
)
def test_only_an_operator_or_a_short_gap_leads_back_to_motion(log: Log, words: str) -> None:
    found = broken(log)
    assert words in found
    assert bool(words) == bool(found), found


def test_the_mean_over_lost_messages_says_nothing_about_the_speed_before_them() -> None:
    at_rest = [message(seq, Mode.ARMED, 0.0) for seq in range(1, 10)]
    elsewhere = [message(seq, Mode.FAULT, 0.4) for seq in range(60, 70)]
    assert not list(no_rest(at_rest + elsewhere, BOUNDS))
    jumped = [message(seq, Mode.FAULT, 0.4) for seq in range(10, 20)]
    assert any("sped up in FAULT" in told for told in no_rest(at_rest + jumped, BOUNDS))


def test_an_operators_hold_is_not_a_gap() -> None:
    log = still((5, Mode.ARMED, 0), (10, Mode.HOLD, 0), (5, Mode.ARMED, 0))
    held = Operated(START_NS + 5 * BOUNDS.period_ns, "hold")
    assert "HOLD became ARMED without an operator" in broken(log, operated=(ARM, held))
    armed = Operated(START_NS + 15 * BOUNDS.period_ns, "arm")
    assert broken(log, operated=(ARM, held, armed)) == ""


def test_deadlines_count_from_the_fault_in_the_daemons_clock() -> None:
    log = still((5, Mode.ARMED, 0), (30, Mode.HOLD, 0), (5, Mode.FAULT, 0))
    begin_ns = START_NS + 5 * BOUNDS.period_ns
    held = Outcome("", frozenset({Mode.FAULT}), held_ms=100, faulted_ms=700)
    assert broken(log, held, span=Span(begin_ns, 0)) == ""
    early = begin_ns - MARGIN_NS - 200_000_000
    assert "HOLD/FAULT/STOP after" in broken(log, held, span=Span(early, 0))
    never = Outcome("", frozenset({Mode.HOLD, Mode.FAULT}), held_ms=1)
    assert "never" in broken(still((9, Mode.ARMED, 0)), never, span=Span(begin_ns - 10, 0))


def test_a_steady_mode_may_not_even_be_left_for_a_tick() -> None:
    steady = Outcome("", frozenset({Mode.IDLE}), steady=True)
    log = [message(k, Mode.FAULT if k == 7 else Mode.IDLE, None) for k in range(20)]
    assert "FAULT was seen" in broken(log, steady)
    idle = [message(k, Mode.IDLE, None) for k in range(20)]
    assert broken(idle, steady) == ""
    assert describe(idle, WHOLE, BOUNDS).startswith("IDLE throughout")


def test_silence_is_judged_while_the_fault_lasts() -> None:
    silent = Outcome("", frozenset({Mode.IDLE}), silent=True)
    log = [message(k, Mode.IDLE, None) for k in (0, 1, 2, 90, 91)]
    begin_ns = START_NS + 2 * BOUNDS.period_ns
    assert broken(log, silent, span=Span(begin_ns, START_NS + 90 * BOUNDS.period_ns)) == ""
    late = Span(begin_ns, START_NS + 91 * BOUNDS.period_ns)
    assert "sent while nothing could be" in broken(log, silent, span=late)
    assert describe(log, Span(begin_ns, 0), BOUNDS).startswith("silent for 1760 ms")
    ended = describe(log[:3], Span(begin_ns, 0), BOUNDS)
    assert ended.startswith("silence, the last command expires after 100 ms")
    assert "no message after the fault" in broken(log[:3], silent, span=Span(begin_ns, begin_ns))


def test_a_command_that_was_delayed_has_less_left_to_live() -> None:
    log = still((5, Mode.ARMED, 0))
    delayed = log[-1]._replace(arrival_ns=log[-1].arrival_ns + 50_000_000)
    assert broken([*log[:-1], delayed]) == ""
