"""The measured arm against its commands: what does not follow is not driven on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from actd.arrays import Vector
from actd.control.following_error import FollowingError
from actd.control.limits import Flag
from actd.control.state import Event
from actd.control.tick import Output
from actd.mode import Mode
from tests.control.rig import MS, Rig, blocked, lagging, settings, with_age

WAVE = 1.2 * np.sin(np.arange(400) / 50.0)[:, None]
LONG = {"chunk_size": 400, "n_action_steps": 400}


def leave(rig: Rig, mode: Mode, ticks: int = 200) -> int:
    """After how many ticks the mode was first seen."""
    for tick in range(1, ticks + 1):
        if rig.tick().mode is mode:
            return tick
    raise AssertionError(f"never {mode.name}: {rig.outputs[-1]}")


def test_a_blocked_arm_is_a_fault_by_name() -> None:
    """It stayed ARMED with 1.4 rad of error."""
    rig = Rig(settings(1, **LONG), 0.0, blocked).armed(WAVE)
    ticks = leave(rig, Mode.FAULT)
    away_ticks = int(np.argmax(WAVE[:, 0] > 0.5))
    assert away_ticks <= ticks <= away_ticks + 10 + 5
    last = rig.outputs[-1]
    assert last.flags & Flag.FOLLOWING
    assert "joint j0 does not follow" in last.reason
    rig.run(50)
    assert rig.outputs[-1].mode is Mode.FAULT


def test_an_arm_that_lags_as_arms_do_raises_no_alarm() -> None:
    rig = Rig(settings(1, **LONG), 0.0, lagging(0.12, 20 * MS)).armed(WAVE)
    rig.run(390)
    assert {output.mode for output in rig.outputs[1:]} == {Mode.ARMED}


def test_a_moment_away_is_no_fault() -> None:
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    for _ in range(8):
        rig.tick(positions=rig.positions + 0.8)
    assert rig.tick().mode is Mode.ARMED


@pytest.mark.parametrize("event", [Event.HOLD, Event.STOP, None])
def test_what_is_held_follows_an_arm_that_is_moved_by_hand(event: Event | None) -> None:
    """It jumped back by 1.5 rad when its torque returned."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    if event is None:
        rig.run(150, state_age_ns=10**9)
        assert rig.outputs[-1].mode is Mode.FAULT
    else:
        rig.tick(event)
        rig.run(30)
    rig.body = blocked  # without torque; a hand moves it
    for k in range(300):
        rig.positions = rig.positions + (0.01 if k < 150 else 0.0)
        output = rig.tick()
    assert output.action is not None
    assert abs(output.action[0] - rig.positions[0]) <= 0.5
    # With torque again it goes where the command is: no further than follow_distance.
    assert output.rest is not None
    assert output.rest.tolist() == output.action.tolist()


def gap(rig: Rig, ticks: int = 10) -> None:
    outputs = rig.run(ticks, state_age_ns=10**9)
    assert outputs[-1].mode is Mode.HOLD


def test_a_gap_ends_by_itself_where_nothing_changed() -> None:
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(30)
    gap(rig)
    assert rig.tick().mode is Mode.ARMED


def elsewhere(rig: Rig) -> Output:
    rig.positions = rig.positions - 1.2
    rig.body = blocked
    return rig.tick()


def restarted(rig: Rig) -> Output:
    rig.held = {"source": 2}
    return rig.tick()


def reopened(rig: Rig) -> Output:
    rig.held = {"openings": 3}
    return rig.tick()


@pytest.mark.parametrize(
    ("change", "mode", "words"),
    [
        (elsewhere, Mode.HOLD, ""),
        (restarted, Mode.FAULT, "controller was restarted"),
        (reopened, Mode.FAULT, "camera was reopened"),
        (lambda rig: rig.tick(rivals=True), Mode.FAULT, "two programs"),
    ],
)
def test_a_gap_does_not_end_by_itself_where_something_changed(
    change: Callable[[Rig], Output], mode: Mode, words: str
) -> None:
    """A controller that was restarted elsewhere was re-armed with a jump of 1.6 rad."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(30)
    gap(rig)
    output = change(rig)
    assert output.mode is mode
    assert words in output.reason
    rig.run(100)
    assert Mode.ARMED not in {o.mode for o in rig.outputs[-100:]}


@pytest.mark.parametrize("change", [restarted, reopened, lambda rig: rig.tick(rivals=True)])
def test_the_same_is_a_fault_while_armed(change: Callable[[Rig], Output]) -> None:
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(10)
    assert change(rig).mode is Mode.FAULT


def test_an_arm_that_was_moved_by_hand_and_then_stands_still_goes_on_being_commanded() -> None:
    """That the command came to it is no motion that the arm ought to have made."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    rig.tick(Event.STOP)
    rig.run(30)
    rig.body = blocked
    rig.positions = rig.positions - 1.2
    outputs = rig.run(60)
    for output in outputs[11:]:
        assert output.action is not None
        assert output.action.tolist() == rig.positions.tolist()
        assert output.flags == 0


@pytest.mark.parametrize("event", [Event.HOLD, Event.STOP])
def test_another_controller_finds_what_is_held_where_its_arm_is(event: Event) -> None:
    """Not one command for the place where the arm of the controller before it was."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    rig.tick(event)
    rig.run(30)
    rig.positions = rig.positions - 1.2
    where = rig.positions.copy()
    rig.held = {"source": 2}
    for output in rig.run(20):
        assert output.action is None or output.action.tolist() == where.tolist()
    assert output.action is not None


def test_an_arm_that_has_not_moved_with_its_command_is_not_armed_again() -> None:
    rig = Rig(settings(1, **LONG), 0.0, blocked).armed(WAVE / 6)
    rig.run(15)
    rig.tick(Event.HOLD)
    rig.run(20)
    assert rig.outputs[-1].action is None
    output = rig.tick(Event.ARM, chunks=(rig.chunk(WAVE / 6),))
    assert "stand still since the command moved" in output.answers[0].error
    assert output.mode is Mode.HOLD
    rig.tick(Event.RESET)
    rig.tick(chunks=(rig.chunk(WAVE / 6),))
    assert rig.tick(Event.ARM).mode is Mode.ARMED


@pytest.mark.parametrize("leave", [lambda rig: rig.tick(), lambda rig: rig.tick(Event.HOLD)])
def test_another_arm_that_is_elsewhere_is_not_sent_to_where_this_one_was(
    leave: Callable[[Rig], Output],
) -> None:
    """Also while this one moved: the ramp to rest is not for an arm that is elsewhere."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    leave(rig)
    assert not rig.controller.at_rest
    rig.positions = rig.positions - 1.2
    where = rig.positions.copy()
    rig.held = {"source": 2}
    for output in rig.run(30):
        assert output.mode in (Mode.FAULT, Mode.HOLD)
        assert output.action is None or output.action.tolist() == where.tolist()


def test_an_arm_whose_state_program_was_restarted_ramps_to_rest() -> None:
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    assert restarted(rig).mode is Mode.FAULT
    assert not rig.controller.at_rest
    rig.run(20)
    after = np.diff(rig.commands()[-21:, 0])
    assert (np.diff(np.abs(after)) <= 1e-9).all()


@pytest.mark.parametrize("event", [Event.HOLD, Event.STOP])
def test_an_arm_that_is_never_where_it_is_told_is_not_led_away(event: Event) -> None:
    """It was told to be where it said that it is, 0.6 further each time, also past the limits."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    rig.tick(event)
    rig.run(20)
    begin = rig.commands()[-1]
    rig.body = lambda seen, command: seen if command is None else command + 0.6
    outputs = rig.run(400)
    commands = np.array([o.action for o in outputs if o.action is not None])
    assert len(np.unique(commands)) <= 4
    assert np.abs(commands - begin).max() <= 3 * 0.6 + 1e-9
    assert outputs[-1].action is None
    assert outputs[-1].flags & Flag.FOLLOWING
    rig.tick(Event.STOP)
    rig.body = blocked
    rig.tick(Event.RESET)
    rig.tick(chunks=(rig.chunk(rig.positions),))
    assert rig.tick(Event.ARM).mode is Mode.ARMED


def test_no_resting_command_goes_out_of_the_limits_after_the_arm() -> None:
    rig = Rig(settings(1, lower=-1.0, upper=1.0, **LONG), 0.0).armed(WAVE)
    rig.run(20)
    rig.tick(Event.STOP)
    rig.run(30)
    rig.body = blocked
    rig.positions = rig.positions * 0 + 1.4
    outputs = rig.run(100)
    assert all(o.action is None or abs(o.action[0]) <= 1.0 for o in outputs)
    assert outputs[-1].action is None


def test_after_a_reset_another_controller_may_be_armed() -> None:
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    restarted(rig)
    rig.run(30)
    rig.tick(Event.RESET)
    rig.tick(chunks=(rig.chunk(WAVE),))
    assert rig.tick(Event.ARM).mode is Mode.ARMED


def test_positions_that_stand_still_while_the_command_moves_are_stale() -> None:
    rig = Rig(with_age(settings(1, **LONG), frozen_ns=300 * MS), 0.0).armed(WAVE)
    rig.run(5)
    rig.held = {"positions": rig.positions.copy()}
    modes = [output.mode for output in rig.run(40)]
    assert modes[5] is Mode.ARMED
    assert Mode.HOLD in modes[:25]
    first = next(o for o in rig.outputs if o.mode is Mode.HOLD)
    assert first.flags & Flag.STATE_STALE
    assert "stand still" in first.reason


def test_an_arm_that_rests_with_its_command_is_not_frozen() -> None:
    following = FollowingError(np.array([0.5]), 200 * MS, 300 * MS)
    for tick in range(100):
        following.look(tick * 20 * MS, np.array([0.3]), np.array([0.3]))
        assert not following.frozen


def test_an_arm_that_begins_to_move_after_a_long_rest_is_not_frozen() -> None:
    """Its dead time counts from when the command moved, not from its own last change."""
    following = FollowingError(np.array([0.5]), 200 * MS, 300 * MS)
    for tick in range(200):
        command = max(0.0, (tick - 100) * 0.02)
        positions = max(0.0, (tick - 106) * 0.02)
        following.look(tick * 20 * MS, np.array([positions]), np.array([command]))
        assert not following.frozen


KINDS = ("position", "gripper", "velocity")


def mixed() -> Rig:
    arm = settings(
        3,
        kinds=KINDS,
        follow_distance=[0.5, np.inf, np.inf],
        start_distance=[0.5, 6.0, 6.0],
        lower=[-3.0, 0.0, -1.0],
        upper=[3.0, 1.0, 1.0],
        velocity=[1.5, 3.0, 2.0],
        **LONG,
    )
    rows = np.stack([WAVE[:, 0], np.linspace(0.9, 0.2, 400), np.full(400, 0.4)], 1)
    return Rig(arm, [0.0, 0.9, 0.0]).armed(rows)


def test_a_gripper_that_an_object_keeps_open_is_no_fault_and_keeps_its_grip() -> None:
    rig = mixed()

    def holding(positions: Vector, command: Vector | None) -> Vector:
        return positions if command is None else np.array([command[0], max(command[1], 0.8), 0.0])

    rig.body = holding
    rig.run(300)
    assert {o.mode for o in rig.outputs[1:]} == {Mode.ARMED}
    grip = rig.outputs[-1].action
    assert grip is not None
    assert grip[1] < 0.5
    rig.tick(Event.STOP)
    rig.run(40)
    held = rig.outputs[-1].action
    assert held is not None
    rig.tick(Event.RESET)
    assert rig.run(20)[-1].action is None
    rig.tick(chunks=(rig.chunk([rig.positions[0], held[1], 0.0]),))
    output = rig.tick(Event.ARM)
    assert output.mode is Mode.ARMED, output.answers
    assert output.action is not None
    assert output.action[1] == pytest.approx(held[1], abs=1e-6)


@pytest.mark.parametrize("event", [Event.HOLD, Event.STOP, None])
def test_a_velocity_joint_stands_still_when_it_is_not_driven(event: Event | None) -> None:
    """It went on at its last speed in HOLD, FAULT and STOP."""
    rig = mixed()
    rig.run(60)
    moving = rig.outputs[-1].action
    assert moving is not None
    assert moving[2] == pytest.approx(0.4)
    assert not rig.controller.at_rest
    if event is None:
        rig.run(30, state_age_ns=10**9)
    else:
        rig.tick(event)
        rig.run(30)
    rest = rig.outputs[-1].action
    assert rest is not None
    assert rest[2] == 0.0
    assert rig.controller.at_rest


def test_a_robot_that_was_away_is_found_where_it_is() -> None:
    """It stopped by itself when commands did not reach it: no jump to where they went."""
    rig = Rig(settings(1, **LONG), 0.0).armed(WAVE)
    rig.run(30)
    away = rig.positions.copy()
    rig.body = blocked
    rig.run(20, controller_age_ns=10**9)
    assert rig.outputs[-1].mode is Mode.HOLD
    rig.body = lambda positions, command: positions if command is None else command
    output = rig.tick()
    assert output.mode is Mode.ARMED
    assert output.action is not None
    assert abs(output.action[0] - away[0]) < 0.01
