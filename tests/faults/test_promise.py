"""The judge is tested on lives made by hand: a good one passes, each broken promise is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from actd.mode import Mode
from tests.faults import promise
from tests.faults.leader import Led
from tests.faults.life import Bounds, Life, Span
from tests.faults.lives import (
    ARM,
    ARMED,
    BOUNDS,
    FAULT,
    HOLD,
    HULL,
    IDLE,
    MS,
    START_NS,
    STOP,
    Change,
    at,
    both,
    change,
    driven,
    from_then_on,
    later,
    limited,
    message,
    obeyed,
    order,
    still,
)
from tests.faults.outcome import observe

A = "a"
Hull = tuple[NDArray[np.float64], NDArray[np.float64]]


def broken(life: Life, hull: Hull = HULL) -> str:
    return "; ".join(promise.always(life, BOUNDS, hull))


# --- good lives


@settings(max_examples=60, deadline=None)
@given(
    targets=st.lists(st.floats(-5, 5), min_size=5, max_size=60),
    lost=st.sets(st.integers(3, 60)),
)
def test_whatever_the_limiter_lets_through_is_kept_and_may_be_lost(
    targets: list[float], lost: set[int]
) -> None:
    life = obeyed([heard for heard in limited(targets) if heard.action.seq not in lost])
    for judge in (promise.wild_steps, promise.false_rest, promise.disorder, promise.outlived):
        assert list(judge(life, BOUNDS)) == []


def test_a_good_life_breaks_nothing() -> None:
    life = driven()
    assert broken(life) == ""
    assert observe(life, Span(at(1), 0), BOUNDS).words == "ARMED throughout"


# --- messages


@pytest.mark.parametrize(
    ("spoil", "judge", "words"),
    [
        (change(20, seq=5), promise.disorder, "seq 5 follows 19"),
        (change(20, t_boot_ns=START_NS), promise.disorder, "sent before the message it follows"),
        (
            both(change(20, late_us=11_000.0), later(21, -11)),
            promise.disorder,
            "sent 9.0 ms after the one before",
        ),
        (change(20, action={A: 0.9, "b": 0.0}), promise.wild_steps, "speed 2"),
        (change(41, action={A: 1.5, "b": 0.0}), promise.wild_steps, "position 1.5 of 1"),
        (change(41, action={A: 0.49, "b": 0.0}), promise.wild_steps, "speed changed by 0.5 of 0.4"),
        (later(6, 1000), promise.begun_elsewhere, ""),
        (change(10, rest_ms=10.0), promise.false_rest, "in 10 ms"),
        (change(35, rest={A: 0.6, "b": 0.0}), promise.false_rest, "rests 0.1 away in 0 ms"),
        (change(20, ttl_ms=5000.0), promise.outlived, "ttl of 5000 ms"),
        (from_then_on(4, HOLD), promise.no_rest, "sped up in HOLD"),
        (from_then_on(2, STOP), promise.no_rest, "ms after STOP"),
    ],
)
def test_each_promise_of_the_messages_is_told_when_broken(
    spoil: Change, judge: Callable[[Life, Bounds], Iterable[str]], words: str
) -> None:
    assert list(judge(driven(), BOUNDS)) == []
    told = "; ".join(judge(spoil(driven()), BOUNDS))
    assert words in told


def test_speed_is_judged_over_the_time_that_passed() -> None:
    """Two steps that are allowed, in the time of one."""
    life = both(change(12, late_us=15_000.0), later(13, -19.9))(driven())
    assert "sent 0.1 ms after" in broken(life)
    skipped = later(13, 40)(driven())
    assert list(promise.wild_steps(skipped, BOUNDS)) == []
    assert list(promise.disorder(skipped, BOUNDS)) == []


def test_a_message_lost_behind_one_that_was_held_up_makes_no_speed() -> None:
    held_up = both(later(9, 12), later(10, -12))(driven())
    lost = replace(held_up, log=[heard for heard in held_up.log if heard.action.seq != 10])
    assert list(promise.wild_steps(lost, BOUNDS)) == []
    early = later(11, -20)(lost)
    assert "speed 4 of 2" in "; ".join(promise.wild_steps(early, BOUNDS))


def test_a_tick_that_was_held_up_before_it_could_send_is_the_computers_doing() -> None:
    life = both(change(20, late_us=100.0), later(21, -11))(driven())
    assert list(promise.disorder(life, BOUNDS)) == []


def test_after_a_silence_commands_begin_at_rest_and_where_the_arm_is() -> None:
    """The arm stopped; the next command went on at full speed."""
    stopped = later(12, 500)(driven())
    where = stopped.arm[45].position  # of seq 11
    arm = [s if s.t_ns < at(11) else s._replace(position=where) for s in stopped.arm]
    arm += [arm[-1]._replace(t_ns=arm[-1].t_ns + k * 5 * MS) for k in range(1, 200)]
    life = replace(stopped, arm=arm)
    told = list(promise.begun_elsewhere(life, BOUNDS))
    assert told == ["at seq 12: begins where the arm is not"]
    assert "speed changed" in "; ".join(promise.wild_steps(life, BOUNDS))


def test_a_resting_command_may_begin_anew_only_where_the_arm_is() -> None:
    life = still((5, ARMED, 0), (20, STOP, 0))
    carried = [s._replace(position=(0.6, 0.0)) if s.t_ns > at(12) else s for s in life.arm]
    moved = replace(life, arm=carried)
    for seq in range(16, 26):
        moved = change(seq, action={A: 0.6, "b": 0.0}, rest={A: 0.6, "b": 0.0})(moved)
    for judge in (promise.wild_steps, promise.begun_elsewhere, promise.no_rest):
        assert list(judge(moved, BOUNDS)) == []
    away = replace(moved, arm=life.arm)
    assert "begins where the arm is not" in "; ".join(promise.begun_elsewhere(away, BOUNDS))


def test_the_mean_over_lost_messages_says_nothing_about_the_speed_before_them() -> None:
    at_rest = [message(seq, ARMED, 0.0) for seq in range(1, 10)]
    elsewhere = [message(seq, FAULT, 0.006) for seq in range(12, 22)]
    assert not list(promise.no_rest(obeyed(at_rest + elsewhere), BOUNDS))
    jumped = [message(seq, FAULT, 0.006) for seq in range(10, 20)]
    assert "sped up in FAULT" in "; ".join(promise.no_rest(obeyed(at_rest + jumped), BOUNDS))


def test_a_command_beyond_all_that_was_planned_is_told_unless_it_began_there() -> None:
    low, high = np.array([-0.3, -1.0]), np.array([0.3, 1.0])
    assert "beyond all that was planned" in broken(driven(), (low, high))
    began = obeyed([message(seq, ARMED if seq else IDLE, 0.7 if seq else None) for seq in range(9)])
    assert list(promise.left_hull(began, BOUNDS, (low, high))) == []


# --- the way back


@pytest.mark.parametrize(
    ("life", "words"),
    [
        (still((5, ARMED, 0), (10, HOLD, 0), (5, ARMED, 0)), ""),
        (still((5, ARMED, 0), (60, HOLD, 0), (5, ARMED, 0)), "HOLD became ARMED after"),
        (still((5, ARMED, 0), (9, FAULT, 0), (5, ARMED, 0)), "FAULT became ARMED without"),
        (still((5, ARMED, 0), (9, IDLE, 0), (5, ARMED, 0)), "IDLE became ARMED without"),
        (still((5, ARMED, 0), (5, ARMED, 900)), ""),
        (still((5, ARMED, 0), (5, ARMED, 2000)), "ARMED became ARMED after 2020 ms"),
    ],
)
def test_only_an_operator_or_a_short_gap_leads_back_to_motion(life: Life, words: str) -> None:
    found = "; ".join(promise.re_engaged(life, BOUNDS))
    assert words in found
    assert bool(words) == bool(found), found


def test_an_order_counts_between_its_giving_and_its_answer() -> None:
    life = still((5, ARMED, 0), (10, HOLD, 0), (5, ARMED, 0))
    held = order("hold", 6)
    told = "; ".join(promise.re_engaged(replace(life, operated=(ARM, held)), BOUNDS))
    assert "HOLD became ARMED without an operator" in told
    for armed, kept in ((order("arm", 16), True), (order("arm", 13), False)):
        operated = (ARM, held, armed)
        told = "; ".join(promise.re_engaged(replace(life, operated=operated), BOUNDS))
        assert kept is not bool(told)


def test_only_an_operator_moves_an_arm_to_a_pose() -> None:
    life = replace(still((5, HOLD, 0), (10, Mode.MOVING, 0), (5, HOLD, 0)), operated=())
    assert "HOLD became MOVING without an operator" in "; ".join(promise.moved(life))
    led = replace(still((5, HOLD, 0), (10, Mode.TAKEOVER, 0), (5, HOLD, 0)), operated=())
    assert "HOLD became TAKEOVER without an operator" in "; ".join(promise.moved(led))
    for park, explained in ((order("park", 6), True), (order("park", 3), False)):
        assert explained is not any(promise.moved(replace(life, operated=(park,))))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"source": 2}, "with another controller"),
        ({"known": False}, "with nobody knowing where the arm is"),
        ({"position": (0.9, 0.0)}, "away from the arm"),
    ],
)
def test_a_gap_ends_by_itself_only_if_all_agree(fields: dict[str, object], words: str) -> None:
    life = still((5, ARMED, 0), (20, HOLD, 0), (5, ARMED, 0))
    arm = [s._replace(**fields) if s.t_ns > at(10) else s for s in life.arm]  # type: ignore[arg-type]
    assert words in "; ".join(promise.re_engaged(replace(life, arm=arm), BOUNDS))


# --- the arm


def test_a_command_that_was_delayed_has_less_left_to_live() -> None:
    life = still((5, ARMED, 0))
    delayed = life.log[-1]._replace(arrival_ns=life.log[-1].arrival_ns + 50 * MS)
    assert broken(replace(life, log=[*life.log[:-1], delayed])) == ""


def test_an_arm_that_obeys_what_has_expired_is_told() -> None:
    life = still((5, ARMED, 0))
    late = life.arm[-1]._replace(t_ns=life.log[-1].action.t_boot_ns + BOUNDS.ttl_ns + MS)
    told = list(promise.outlived(replace(life, arm=[*life.arm, late]), BOUNDS))
    assert told == ["seq 5 was obeyed 1 ms after its time to live"]


def test_a_command_that_runs_away_from_the_arm_is_told_unless_nobody_knows_where_that_is() -> None:
    life = driven([0.8] * 60)
    blocked = replace(life, arm=[s._replace(position=(0.0, 0.0)) for s in life.arm])
    assert "from the arm for" in "; ".join(promise.run_away(blocked, BOUNDS))
    unknown = replace(blocked, arm=[s._replace(known=False) for s in blocked.arm])
    assert list(promise.run_away(unknown, BOUNDS)) == []
    short = replace(
        life, arm=[s._replace(position=(0.0, 0.0)) for s in life.arm if s.t_ns < at(24)]
    )
    assert list(promise.run_away(replace(short, log=life.log[:24]), BOUNDS)) == []


def test_an_arm_that_is_faster_than_its_commands_is_told() -> None:
    life = driven()
    arm = [s._replace(speed=5.0) if s.t_ns == at(30) else s for s in life.arm]
    assert "moved with 5 rad/s" in "; ".join(promise.jumped(replace(life, arm=arm), BOUNDS))
    carried = [s._replace(driven=False) if s.t_ns == at(30) else s for s in arm]
    assert list(promise.jumped(replace(life, arm=carried), BOUNDS)) == []


@pytest.mark.parametrize(("way", "words"), [(0.2, ""), (0.8, "the arm jumped by 0.8")])
def test_an_arm_whose_torque_returns_may_go_as_far_as_its_command_is_away(
    way: float, words: str
) -> None:
    life = still((5, ARMED, 0), (40, STOP, 0))
    arm = []
    for s in life.arm:
        back = s.t_ns >= at(20)
        place = way if s.t_ns < at(22) else 0.0
        arm.append(s._replace(driven=back, returns=int(back), position=(place, 0.0)))
    told = "; ".join(promise.jumped(replace(life, arm=arm), BOUNDS))
    assert words in told
    assert bool(words) == bool(told)


def test_an_arm_that_moves_though_nobody_commands_it_is_told() -> None:
    life = still((5, ARMED, 0))
    last = life.arm[-1]
    moving = [last._replace(t_ns=last.t_ns + k * 50 * MS, speed=0.3) for k in range(1, 20)]
    told = list(promise.restless(replace(life, arm=[*life.arm, *moving]), BOUNDS))
    assert told
    assert "nobody commands anything" in told[0]
    assert len(told) < 19


def test_in_a_takeover_no_command_is_beyond_where_the_leader_was() -> None:
    life = obeyed(limited([0.5] * 40, Mode.TAKEOVER), (order("takeover", 1),))
    led = [Led(at(0) + k * 5 * MS, (min(0.5, 0.02 * k), 0.0)) for k in range(200)]
    good = replace(life, led=led)
    assert list(promise.led_astray(good, BOUNDS)) == []
    short = [one._replace(place=(min(0.4, one.place[0]), 0.0)) for one in led]
    assert "beyond where the leader was" in "; ".join(
        promise.led_astray(replace(good, led=short), BOUNDS)
    )
    assert "beyond where" in "; ".join(promise.led_astray(replace(good, led=[]), BOUNDS))
