"""Until when a command holds, on one computer and between two, and the gentle stop after it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.client.expiry import Expiry, ramp_to_rest
from actd.errors import LinkError
from actd.link.messages import Action
from actd.mode import Mode

MS = 1_000_000
S = 1_000_000_000
PERIOD_NS = 20 * MS
MINE, OTHER = "this-clock", "other-clock"
START_NS = 1000 * S
FIRST = Action(
    robot="aloha",
    boot="b0",
    clock=MINE,
    seq=1,
    t=0.0,
    t_boot_ns=START_NS,
    ttl_ms=100.0,
    mode=Mode.ARMED,
    action={"j": 1.0, "k": -2.0},
    rest={"j": 1.2, "k": -2.0},
    rest_ms=200.0,
    chunk=1,
    age_ms=5.0,
    n=1,
    infer_ms=1.0,
    late_us=1.0,
    flags=0,
)


def later(first: Action, periods: int) -> Action:
    return replace(first, seq=first.seq + periods, t_boot_ns=first.t_boot_ns + periods * PERIOD_NS)


def stream(first: Action, count: int) -> Iterator[Action]:
    return (later(first, n) for n in range(count))


# --- one computer


def test_nothing_before_the_first_message() -> None:
    assert Expiry(MINE).current(START_NS) is None


@given(delay_ms=st.integers(0, 99), seq=st.integers(-(2**63), 2**63))
def test_a_command_lasts_its_ttl_from_when_it_was_sent(delay_ms: int, seq: int) -> None:
    expiry = Expiry(MINE, gentle_stop=False)
    action = replace(FIRST, seq=max(1, seq))
    expiry.accept(action, START_NS + delay_ms * MS)
    assert expiry.current(START_NS + 100 * MS - 1) is action
    assert expiry.current(START_NS + 100 * MS) is None


def test_a_first_message_of_ten_seconds_ago_is_not_new() -> None:
    """It waited in the socket while the arm went to its start pose; the daemon may be dead."""
    expiry = Expiry(MINE)
    with pytest.raises(LinkError, match=r"10000 ms old on arrival, it may be used for 100 ms"):
        expiry.accept(FIRST, START_NS + 10 * S)
    assert expiry.current(START_NS + 10 * S) is None


def test_a_message_that_just_expired_moves_nothing() -> None:
    """It has a gentle stop, but of a motion in which this arm never was."""
    expiry = Expiry(MINE)
    with pytest.raises(LinkError, match="old on arrival"):
        expiry.accept(FIRST, START_NS + 101 * MS)
    assert expiry.current(START_NS + 102 * MS) is None


def test_after_a_suspend_nothing_is_valid() -> None:
    """BOOTTIME goes on while the lid is closed."""
    expiry = Expiry(MINE)
    expiry.accept(FIRST, START_NS)
    assert expiry.current(START_NS + MS) is FIRST
    assert expiry.current(START_NS + 3600 * S) is None
    with pytest.raises(LinkError, match="old on arrival"):
        expiry.accept(later(FIRST, 1), START_NS + 3600 * S)
    assert expiry.current(START_NS + 3600 * S) is None


def test_a_stamp_from_the_future_of_one_clock_is_refused() -> None:
    expiry = Expiry(MINE)
    with pytest.raises(LinkError, match="500 ms in the future of the same clock"):
        expiry.accept(FIRST, START_NS - 500 * MS)
    assert expiry.current(START_NS) is None


def test_repeated_and_overtaken_messages_change_nothing() -> None:
    expiry = Expiry(MINE)
    third = later(FIRST, 2)
    expiry.accept(third, third.t_boot_ns)
    for action in (replace(third, action={"j": 9.0}), later(FIRST, 1), FIRST):
        expiry.accept(action, third.t_boot_ns + MS)
        assert expiry.current(third.t_boot_ns + MS) is third


@pytest.mark.parametrize("seq", [1, 2, 10**9])
def test_a_restarted_daemon_is_known_by_its_boot(seq: int) -> None:
    expiry = Expiry(MINE)
    before = replace(FIRST, seq=2)
    expiry.accept(before, START_NS)
    again = replace(FIRST, boot="b1", seq=seq, t_boot_ns=START_NS + S)
    expiry.accept(again, START_NS + S)
    assert expiry.current(START_NS + S) is again


def test_another_robots_actions_are_refused_by_name() -> None:
    expiry = Expiry(MINE, "left-bench")
    with pytest.raises(LinkError, match="these are aloha's actions, this arm is left-bench"):
        expiry.accept(FIRST, START_NS)
    with pytest.raises(LinkError, match="nameless"):
        expiry.accept(replace(FIRST, robot=""), START_NS)
    assert expiry.current(START_NS) is None
    mine = replace(FIRST, robot="left-bench")
    expiry.accept(mine, START_NS)
    assert expiry.current(START_NS) is mine


# --- two computers

FOREIGN = replace(FIRST, clock=OTHER, t_boot_ns=77 * S)


@pytest.mark.parametrize("waited_ns", [0, 10 * S])
def test_between_two_clocks_the_first_message_is_never_used(waited_ns: int) -> None:
    expiry = Expiry(MINE)
    expiry.accept(FOREIGN, START_NS + waited_ns)
    assert expiry.current(START_NS + waited_ns) is None
    now_ns = START_NS + waited_ns + PERIOD_NS
    second = later(FOREIGN, 1 + waited_ns // PERIOD_NS)
    expiry.accept(second, now_ns)
    if waited_ns:  # the first one was late, which shows only now
        assert expiry.current(now_ns) is None
        second, now_ns = later(second, 1), now_ns + PERIOD_NS
        expiry.accept(second, now_ns)
    assert expiry.current(now_ns) is second


def test_the_same_first_message_twice_is_still_one() -> None:
    expiry = Expiry(MINE)
    expiry.accept(FOREIGN, START_NS)
    expiry.accept(FOREIGN, START_NS + PERIOD_NS)
    assert expiry.current(START_NS + PERIOD_NS) is None


@given(zero_ns=st.integers(-(10**18), 10**18), delay_ms=st.integers(0, 300))
def test_a_delayed_message_is_worth_less_whatever_the_clocks_say(
    zero_ns: int, delay_ms: int
) -> None:
    """The two computers' clocks differ by any amount; only added delay counts."""
    expiry = Expiry(MINE, gentle_stop=False)
    for action in stream(FOREIGN, 3):
        expiry.accept(action, action.t_boot_ns + zero_ns)
    late = later(FOREIGN, 8)
    arrival_ns = late.t_boot_ns + zero_ns + delay_ms * MS
    if delay_ms >= 100:
        with pytest.raises(LinkError, match=f"was {delay_ms} ms old on arrival"):
            expiry.accept(late, arrival_ns)
        return
    expiry.accept(late, arrival_ns)
    expires_ns = late.t_boot_ns + zero_ns + 100 * MS
    assert expiry.current(arrival_ns) is late
    assert expiry.current(expires_ns - 1) is late
    assert expiry.current(expires_ns) is None


@pytest.mark.parametrize("ppm", [-200, -50, 50, 200])
def test_drifting_clocks_stay_usable_by_the_hour(ppm: int) -> None:
    """50 ppm alone are 100 ms, a whole ttl, after 33 min."""
    expiry, chance = Expiry(MINE), random.Random(ppm)
    unused = 0
    for n in range(3600 * 10):
        action = later(FOREIGN, 5 * n)
        elapsed_ns = action.t_boot_ns - FOREIGN.t_boot_ns
        now_ns = START_NS + elapsed_ns + elapsed_ns * ppm // 1_000_000 + chance.randrange(2 * MS)
        expiry.accept(action, now_ns)
        unused += expiry.current(now_ns) is not action
    assert 1 <= unused < 100


def test_a_sender_that_was_suspended_is_used_again() -> None:
    expiry = Expiry(MINE)
    for action in stream(FOREIGN, 100):
        expiry.accept(action, action.t_boot_ns)
    for action in stream(later(FOREIGN, 200_000), 2):
        expiry.accept(action, action.t_boot_ns)
    assert expiry.current(action.t_boot_ns) is action


def test_a_sender_that_was_rebooted_is_used_again() -> None:
    expiry = Expiry(MINE)
    for action in stream(replace(FOREIGN, seq=500), 100):
        expiry.accept(action, action.t_boot_ns)
    again = replace(FOREIGN, boot="b1", clock="its-new-clock", seq=1, t_boot_ns=5 * S)
    for action in stream(again, 2):
        now_ns = START_NS + action.t_boot_ns
        expiry.accept(action, now_ns)
        assert (expiry.current(now_ns) is action) is (action.seq == 2)


# --- the gentle stop

value = st.floats(-1e6, 1e6)


@given(command=value, rest=value, rest_ms=st.floats(0.1, 1e5), share=st.floats(0, 0.999))
def test_the_ramp_is_a_parabola_from_the_command_to_rest(
    command: float, rest: float, rest_ms: float, share: float
) -> None:
    action = replace(FIRST, action={"j": command}, rest={"j": rest}, rest_ms=rest_ms)
    whole_ns = rest_ms * 1e6
    since_ns = int(share * whole_ns)
    x = since_ns / whole_ns
    step = ramp_to_rest(action, since_ns)
    assert step is not None
    assert step.expired
    assert step.mode is Mode.HOLD
    assert step.moves
    assert (step.seq, step.boot) == (action.seq, action.boot)
    # Constant deceleration from 2 (rest - command) / rest_ms to 0.
    way = rest - command
    tolerance = 1e-9 * max(1.0, abs(command), abs(rest))
    assert abs(step.action["j"] - (command + way * (2 * x - x * x))) <= tolerance
    low, high = sorted((command, rest))
    assert low - tolerance <= step.action["j"] <= high + tolerance
    after = ramp_to_rest(action, since_ns + max(1, int(whole_ns / 1000)))
    if after is not None:
        assert (after.action["j"] - step.action["j"]) * way >= -tolerance * abs(way)


def test_the_ramp_begins_with_the_speed_of_the_command_and_ends_at_rest() -> None:
    def at(ms: float) -> float:
        step = ramp_to_rest(FIRST, round(ms * 1e6))
        assert step is not None
        return step.action["j"]

    speed = 2 * 0.2 / 200  # per ms
    assert at(0) == 1.0
    assert (at(0.01) - at(0)) / 0.01 == pytest.approx(speed, rel=1e-3)
    assert at(199.999) == pytest.approx(1.2, abs=1e-9)
    assert (at(199.999) - at(199)) / 0.999 == pytest.approx(0, abs=speed / 100)
    assert ramp_to_rest(FIRST, 200 * MS) is None


@pytest.mark.parametrize(
    "change",
    [{"rest_ms": 0.0}, {"mode": Mode.IDLE}, {"action": {}, "rest": {}}],
)
def test_what_rests_or_never_moved_has_no_ramp(change: dict[str, object]) -> None:
    action = replace(FIRST, **change)  # type: ignore[arg-type]
    assert ramp_to_rest(action, 0) is None
    expiry = Expiry(MINE)
    expiry.accept(action, START_NS)
    assert expiry.current(START_NS) is action
    assert expiry.current(START_NS + 100 * MS) is None


def asked_every_cycle(expiry: Expiry, until_ms: int) -> list[Action | None]:
    return [expiry.current(START_NS + ms * MS) for ms in range(0, until_ms, 10)]


def test_silence_stops_the_arm_gently_and_then_holds() -> None:
    expiry = Expiry(MINE)
    expiry.accept(FIRST, START_NS)
    found = asked_every_cycle(expiry, 500)
    assert found[:10] == [FIRST] * 10
    ramp = [action for action in found[10:30] if action is not None]
    assert len(ramp) == 20
    assert ramp[0] == replace(FIRST, mode=Mode.HOLD, expired=True)
    assert [action.action["k"] for action in ramp] == [-2.0] * 20
    places = [action.action["j"] for action in ramp]
    assert places == sorted(places)
    assert found[30:] == [None] * 20


def test_a_move_to_a_pose_is_stopped_as_gently() -> None:
    moving = replace(FIRST, mode=Mode.MOVING)
    assert ramp_to_rest(moving, 60 * MS) == ramp_to_rest(FIRST, 60 * MS)


def test_a_speed_is_brought_to_zero() -> None:
    """A joint that is commanded by its speed has 0 as rest."""
    expiry = Expiry(MINE)
    expiry.accept(replace(FIRST, action={"wheel": 3.0}, rest={"wheel": 0.0}), START_NS)
    speeds = [action.action["wheel"] for action in asked_every_cycle(expiry, 300) if action]
    assert speeds == sorted(speeds, reverse=True)
    assert 0 <= speeds[-1] < 0.01


def test_without_a_gentle_stop_silence_is_none_at_once() -> None:
    expiry = Expiry(MINE, gentle_stop=False)
    expiry.accept(FIRST, START_NS)
    assert asked_every_cycle(expiry, 300)[10:] == [None] * 20


def test_a_newer_valid_message_ends_the_ramp_and_a_stale_one_does_not() -> None:
    expiry = Expiry(MINE)
    expiry.accept(FIRST, START_NS)
    assert len([a for a in asked_every_cycle(expiry, 160) if a and a.expired]) == 6
    with pytest.raises(LinkError, match="old on arrival"):
        expiry.accept(later(FIRST, 2), START_NS + 160 * MS)
    ramp = expiry.current(START_NS + 160 * MS)
    assert ramp == ramp_to_rest(FIRST, 60 * MS)
    newer = later(FIRST, 8)
    expiry.accept(newer, newer.t_boot_ns)
    assert expiry.current(newer.t_boot_ns + MS) is newer


@pytest.mark.parametrize("last_asked_ms", [0, 90, 150])
def test_an_arm_whose_controller_stalled_is_not_set_in_motion_again(last_asked_ms: int) -> None:
    """It held by itself meanwhile: the middle of a ramp would be a jump."""
    expiry = Expiry(MINE)
    expiry.accept(FIRST, START_NS)
    asked_every_cycle(expiry, last_asked_ms + 1)
    for ms in range(last_asked_ms + 101, 300, 10):
        assert expiry.current(START_NS + ms * MS) is None
