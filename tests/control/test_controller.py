"""One tick after another through the whole decision: arming, gaps, silences, faults, stopping."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from actd.arrays import Vector
from actd.control.limits import Flag
from actd.control.state import Event
from actd.mode import Mode
from tests.control.judge import distance_from
from tests.control.rig import MS, Rig, settings, with_age

LONG = {"chunk_size": 400, "n_action_steps": 400}
CIRCLE = 0.5 * np.stack([np.sin(np.arange(400) / 25.0), 1 - np.cos(np.arange(400) / 25.0)], 1)
WAVE = 0.6 * np.sin(2 * np.arange(400) / 50.0)[:, None]


def speeds(commands: Vector, period_ns: int) -> Vector:
    return np.diff(commands, axis=0) * (1e9 / period_ns)


def test_idle_commands_nothing() -> None:
    output = Rig(settings()).tick()
    assert output.mode is Mode.IDLE
    assert output.action is None
    assert output.rest is None


def test_armed_eases_in_and_then_follows_the_plan() -> None:
    rig = Rig(settings(ease_in_ns=200 * MS), 0.1).armed([0.0, 0.0])
    first = rig.outputs[-1]
    assert first.action is not None
    assert abs(first.action - 0.1).max() < 0.01
    assert first.flags & Flag.EASING
    output = rig.run(40)[-1]
    assert output.action == pytest.approx([0.0, 0.0])
    assert output.flags == 0
    assert output.reason == ""


def test_the_first_action_after_arming_is_the_first_row_however_long_one_waited() -> None:
    rig = Rig(settings(1, **LONG), WAVE[0])
    for _ in range(50):
        rig.tick(chunks=(rig.chunk(WAVE, age_ns=60 * MS),))
    output = rig.tick(Event.ARM)
    assert output.mode is Mode.ARMED
    assert output.action is not None
    assert output.action[0] == pytest.approx(WAVE[0, 0], abs=1e-6)


@pytest.mark.parametrize("mode", ["temporal", "queue", "latest"])
def test_what_was_seen_before_arming_counts_no_more_once_the_policy_has_looked_again(
    mode: str,
) -> None:
    """Somebody may have laid the object elsewhere in between."""
    rig = Rig(settings(1, mode=mode, temporal_coeff=-0.1)).armed(0.1)
    rig.tick(chunks=(rig.chunk(0.1, age_ns=60 * MS),))  # its inference was under way
    assert rig.run(10)[-1].action == pytest.approx([0.1], abs=0.01)
    seen = rig.chunk(-0.1)
    rig.tick(chunks=(seen,))
    output = rig.run(20)[-1]
    assert (output.chunk, output.n) == (seen.number, 1)
    assert output.action == pytest.approx([-0.1], abs=1e-6)
    assert abs(speeds(rig.commands(), rig.settings.period_ns)).max() <= 1.5 + 1e-6
    # From then on chunks are read as ever.
    output = rig.tick(chunks=(rig.chunk(-0.1),))
    assert output.n == (1 if mode == "queue" else 2)


@pytest.mark.parametrize(
    ("changes", "flag", "reason"),
    [
        ({"state_age_ns": 300 * MS}, Flag.STATE_STALE, "robot state is 300 ms old"),
        (
            {"controller_age_ns": 400 * MS},
            Flag.CONTROLLER_LOST,
            "acknowledged no action for 400 ms",
        ),
        ({"camera_ages_ns": {"top": 400 * MS}}, Flag.CAMERA_STALE, "camera top is 400 ms old"),
        ({"camera_unchanged_ns": {"top": 600 * MS}}, Flag.CAMERA_FROZEN, "the same image"),
    ],
)
def test_what_is_stale_holds_in_the_tick_that_knows_it(
    changes: dict[str, Any], flag: Flag, reason: str
) -> None:
    """A dead camera moved the arm on for 1.5 s, a frozen one for 2 s."""
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    rig.run(20)
    output = rig.tick(**changes)
    assert output.mode is Mode.HOLD
    assert output.flags & flag
    assert output.flags & Flag.UNDERRUN
    assert reason in output.reason
    modes = [rig.tick(**changes).mode for _ in range(120)]
    assert set(modes[:95]) == {Mode.HOLD}
    assert modes[-1] is Mode.FAULT
    assert rig.tick().mode is Mode.FAULT
    assert "the gap lasts" in rig.outputs[-1].reason


def test_a_plan_is_followed_only_as_long_as_it_says_itself() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE, usable_ns=300 * MS)
    modes = [output.mode for output in rig.run(30)]
    assert modes[12] is Mode.ARMED
    assert modes[16] is Mode.HOLD


@pytest.mark.parametrize("missed", [1, 2])
def test_a_missed_sample_costs_a_moment_of_the_plan_and_hardly_any_way(missed: int) -> None:
    """It cost a second of easing, 0.27 rad off the plan and 620 ms until it was back."""
    arm = settings(mode="temporal", **LONG)
    whole = Rig(arm, CIRCLE[0]).armed(CIRCLE)
    whole.run(200)
    path = whole.commands()
    ticks = np.arange(len(path))
    for before in range(15, 100, 9):
        rig = Rig(arm, CIRCLE[0]).armed(CIRCLE)
        rig.run(before)
        rig.run(missed, state_age_ns=300 * MS)
        rig.run(80)
        commands = rig.commands()
        # On the same path, and not faster than it to make anything good.
        assert distance_from(path, commands) < 0.002
        assert np.abs(speeds(commands, 20 * MS)).max() <= 1.0 + 1e-6
        # As without it but for less than 30 ms of the plan, from 100 ms after it on.
        lost = [
            np.abs(commands[-1] - [np.interp(len(commands) - 1 - late, ticks, path[:, j])
                                   for j in range(2)]).max()
            for late in np.linspace(0, 1.5, 301)
        ]  # fmt: skip
        late = float(np.linspace(0, 1.5, 301)[int(np.argmin(lost))])
        delayed = np.stack(
            [np.interp(np.arange(len(commands)) - late, ticks, path[:, j]) for j in range(2)], 1
        )
        assert np.abs(commands - delayed)[before + missed + 6 :].max() < 0.003
        assert np.abs(commands - path[: len(commands)]).max() < 0.03


def test_a_stream_that_comes_and_goes_is_a_fault() -> None:
    """461 re-engagements in ten minutes."""
    rig = Rig(settings(1, **LONG)).armed([0.0])
    engaged = 0
    for _ in range(20):
        before = rig.outputs[-1].mode
        rig.run(50)
        engaged += before is Mode.HOLD and rig.outputs[-1].mode is Mode.ARMED
        rig.run(15, camera_ages_ns={"top": 500 * MS})
    assert rig.outputs[-1].mode is Mode.FAULT
    assert engaged <= 6
    assert "again and again" in rig.outputs[-1].reason


@pytest.mark.parametrize("silence_ms", [120, 200, 500, 1500, 1900])
@pytest.mark.parametrize("suspended", [False, True])
def test_after_a_silence_motion_begins_from_rest_where_the_arm_is(
    silence_ms: int, suspended: bool
) -> None:
    """It was +1.24 rad/s in the first step from rest, ARMED."""
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    rig.run(30)
    where = rig.positions + 0.2
    rig.positions = where.copy()
    silence = {"suspended_ns": silence_ms * MS} if suspended else {"late_ns": silence_ms * MS}
    output = rig.tick(**silence)
    assert output.flags & Flag.SILENCE
    moved = np.concatenate(
        [[where], [o.action for o in [output, *rig.run(3)] if o.action is not None]]
    )
    speed = speeds(moved, 20 * MS)
    assert abs(speed[0, 0]) <= 8 * 0.02 + 1e-9
    assert (np.abs(np.diff(speed[:, 0])) <= 8 * 0.02 + 1e-9).all()


def test_a_long_silence_is_a_fault() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    assert rig.tick(late_ns=2100 * MS).mode is Mode.FAULT
    assert "no command was sent for" in rig.outputs[-1].reason


def test_a_silence_with_a_stale_state_commands_nothing_until_the_arm_is_seen() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    rig.run(30)
    output = rig.tick(late_ns=500 * MS, state_age_ns=600 * MS)
    assert output.mode is Mode.HOLD
    assert output.action is None
    rig.positions = rig.positions - 0.3
    output = rig.tick()
    assert output.action is not None
    assert abs(output.action[0] - (rig.positions[0])) < 0.01


@pytest.mark.parametrize("unseen", [{"positions": None, "state_age_ns": None}, {}])
def test_stop_in_idle_commands_nothing(unseen: dict[str, Any]) -> None:
    """It commanded 0 to every joint, wherever they were; later on, where an arm that somebody
    else moves had just been.
    """
    rig = Rig(settings(1), 1.3)
    output = rig.tick(Event.STOP, **unseen)
    assert output.mode is Mode.STOP
    assert output.action is None
    assert {output.action for output in rig.run(5)} == {None}
    assert rig.tick(Event.RESET).mode is Mode.IDLE
    rig.tick(chunks=(rig.chunk(1.3),))
    assert rig.tick(Event.ARM).action is not None


@pytest.mark.parametrize("suspended", [False, True])
def test_a_plan_from_before_a_silence_is_not_followed_after_it(suspended: bool) -> None:
    """What it was observed of may be anywhere by now, whatever its age says."""
    rig = Rig(with_age(settings(1, **LONG), fault_after_ns=10**10)).armed(WAVE)
    rig.run(10)
    before = rig.chunk(WAVE, age_ns=5 * MS)
    silence = {"suspended_ns": 500 * MS} if suspended else {"late_ns": 500 * MS}
    assert rig.tick(**silence).mode is Mode.HOLD
    assert rig.tick(chunks=(before._replace(number=900),)).mode is Mode.HOLD
    rig.run(2)
    assert rig.outputs[-1].mode is Mode.HOLD
    here = 0.0 if rig.positions is None else rig.positions
    rig.tick(chunks=(rig.chunk(here),))
    assert rig.tick().mode is Mode.ARMED


def test_a_gap_says_that_plans_are_refused() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE, usable_ns=100 * MS)
    for _ in range(20):
        output = rig.tick(chunks=(rig.chunk(1e6),))
    assert output.mode is Mode.HOLD
    assert "far outside its limits" in output.reason


@pytest.mark.parametrize("skipped", [1, 3])
def test_a_plan_that_was_observed_in_skipped_slots_is_followed_at_once(skipped: int) -> None:
    """The clock that it is dated by knows of the slots before the plan is taken."""
    rig = Rig(settings(1, mode="latest", crossfade_ns=0, **LONG)).armed(WAVE)
    rig.run(30)
    late_ns = skipped * 20 * MS
    chunk = rig.chunk(WAVE[31:], age_ns=-late_ns + 5 * MS)
    output = rig.tick(chunks=(chunk,), late_ns=late_ns)
    assert output.mode is Mode.ARMED
    assert output.chunk == chunk.number


def test_a_latched_fault_is_left_by_reset_and_arm_alone() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    rig.run(150, state_age_ns=10**9)
    assert rig.outputs[-1].mode is Mode.FAULT
    assert "`actd reset` first" in rig.tick(Event.ARM).answers[0].error
    assert rig.tick(Event.RESET).mode is Mode.IDLE
    rig.tick(chunks=(rig.chunk(rig.positions[0]),))
    assert rig.tick(Event.ARM).mode is Mode.ARMED


def test_an_operators_hold_does_not_end_by_itself() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    rig.tick(Event.HOLD)
    assert {output.mode for output in rig.run(200)} == {Mode.HOLD}
    assert rig.outputs[-1].reason == "operator: hold"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_what_is_no_number_for_an_arm_never_reaches_it(value: float) -> None:
    rig = Rig(settings(1)).armed([0.1], usable_ns=300 * MS)
    for _ in range(40):
        rig.tick(chunks=(rig.chunk([value], usable_ns=300 * MS),))
    assert rig.outputs[-1].mode in (Mode.HOLD, Mode.FAULT)
    assert np.isfinite(rig.commands()).all()
    assert np.abs(rig.commands()).max() <= 0.1 + 1e-6


@pytest.mark.parametrize("acceleration", [8.0, 1.0, 0.8])
@pytest.mark.parametrize("event", [Event.HOLD, Event.STOP, Event.FAULT])
def test_every_end_is_a_ramp_of_the_limits_own_length(acceleration: float, event: Event) -> None:
    rows = (np.arange(400) * 0.03 - 2.9)[:, None].clip(-2.9, 2.9)
    rig = Rig(settings(1, acceleration=acceleration, **LONG), -2.9).armed(rows)
    rig.run(100)
    speed = float(speeds(rig.commands(), 20 * MS)[-1, 0])
    assert speed > 1.0
    rig.tick(commands=((1, event),))
    ticks = 1
    while not rig.controller.at_rest:
        rig.tick()
        ticks += 1
    assert ticks <= speed / acceleration / 0.02 + 2
    after = speeds(rig.commands(), 20 * MS)[-ticks:, 0]
    assert (np.diff(after) <= 1e-9).all()
    assert (after >= -1e-9).all()


def test_reset_waits_for_the_ramp_to_end() -> None:
    rig = Rig(settings(1, **LONG)).armed(WAVE)
    rig.run(20)
    output = rig.tick(Event.STOP, Event.RESET)
    assert "still ramping" in output.answers[1].error
    assert output.mode is Mode.STOP
    while not rig.controller.at_rest:
        rig.tick()
    assert rig.tick(Event.RESET).mode is Mode.IDLE


def test_every_command_is_answered_with_its_number() -> None:
    answers = Rig(settings()).tick(Event.HOLD, Event.ARM, Event.STOP).answers
    assert [answer.number for answer in answers] == [1, 2, 3]
    assert [bool(answer.error) for answer in answers] == [True, True, False]


def test_the_same_inputs_give_the_same_commands_to_the_last_bit() -> None:
    def history() -> list[Any]:
        chance = np.random.default_rng(5)
        arm = settings(mode="temporal", ease_in_ns=300 * MS, velocity=0.4)
        rig = Rig(with_age(arm, fault_after_ns=10**9), 0.0)
        rig.tick(chunks=(rig.chunk(0.1),))
        rig.tick(Event.ARM)
        for k in range(300):
            chunk = (
                (rig.chunk(chance.normal(0, 0.2, (100, 2)), age_ns=70 * MS),) if k % 3 == 0 else ()
            )
            rig.tick(chunks=chunk, state_age_ns=300 * MS if k % 71 == 0 else 5 * MS)
        return [
            (o.mode, o.flags, None if o.action is None else o.action.tobytes()) for o in rig.outputs
        ]

    assert history() == history()


def test_joints_are_read_at_their_own_latencies() -> None:
    rows = np.repeat(np.linspace(0, 0.99, 100)[:, None], 2, axis=1)
    rig = Rig(settings(latency_ns=(0, 100 * MS)), [0.0, 0.05]).armed(rows)
    output = rig.run(30)[-1]
    assert output.action is not None
    assert output.action[1] - output.action[0] == pytest.approx(0.05, abs=1e-6)
