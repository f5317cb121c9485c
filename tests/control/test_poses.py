"""Moves to a pose through the whole controller: what begins them, what ends them, where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actd.control.controller import Controller
from actd.control.limits import Flag
from actd.control.state import PARKED, Event
from actd.control.tick import Output
from actd.mode import Mode
from tests.control.rig import ENDS_AN_ORDER, MS, Rig, blocked, lagging, settings

FOUND, PARK, START = [0.2, -0.4], [1.0, 0.8], [-0.5, 0.3]


def rig(found: Any = FOUND, **changes: Any) -> Rig:
    return Rig(settings(**{"park": PARK, "start": START, **changes}), found)


def ordered(rig: Rig, event: Event, **changes: Any) -> Output:
    output = rig.tick(event, **changes)
    assert output.answers[0].error == "", output.answers
    assert output.mode is Mode.MOVING
    assert output.reason == f"operator: {event.value}"
    return output


def until(rig: Rig, *modes: Mode, limit: int = 1000, **changes: Any) -> Output:
    """Tick until one of these modes."""
    for _ in range(limit):
        output = rig.tick(**changes)
        if output.mode in modes:
            return output
    raise AssertionError(f"{output.mode.name}: {output.reason}")


def fresh(rig: Rig, rows: Any) -> dict[str, Any]:
    """A chunk that is observed just now, for a tick."""
    return {"chunks": (rig.chunk(rows, usable_ns=300 * MS),)}


def fed(rig: Rig, rows: Any, ticks: int) -> Output:
    """Some ticks, each with a new chunk; the last one's output."""
    for _ in range(ticks):
        output = rig.tick(**fresh(rig, rows))
    return output


# --- park


def test_park_leads_from_where_the_arm_is_to_the_pose_and_holds_there() -> None:
    arm = rig()
    first = ordered(arm, Event.PARK)
    assert first.move is not None
    assert 0 < first.move.share < 1e-3
    output = until(arm, Mode.HOLD)
    assert (output.reason, output.move) == (PARKED, None)
    assert output.action is not None
    assert output.action.tolist() == PARK
    assert arm.run(50)[-1].mode is Mode.HOLD
    assert arm.positions.tolist() == PARK
    left = [o.move.left_ns for o in arm.outputs if o.move is not None]
    assert left == sorted(left, reverse=True)
    took_ns = len(left) * arm.settings.period_ns
    assert left[0] <= took_ns <= left[0] + 3 * arm.settings.period_ns
    assert not any(output.flags for output in arm.outputs)


def test_park_needs_neither_cameras_nor_a_policy() -> None:
    """An arm whose camera died is an arm to be parked."""
    dead = {"camera_ages_ns": {"top": None}, "camera_unchanged_ns": {"top": 9000 * MS}}
    arm = rig()
    ordered(arm, Event.PARK, **dead)
    arm.tick(**dead, openings=1)
    assert until(arm, Mode.HOLD, **dead, openings=2).reason == PARKED


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state_age_ns": None}, "robot state has not delivered"),
        ({"state_age_ns": 300 * MS}, "robot state is 300 ms old (limit 200 ms)"),
        ({"controller_age_ns": None}, "no robot controller acknowledges"),
        ({"rivals": True}, "two programs send the robot's state"),
    ],
)
@pytest.mark.parametrize("event", [Event.PARK, Event.APPROACH])
def test_a_move_is_refused_by_name(event: Event, changes: dict[str, Any], reason: str) -> None:
    arm = rig()
    arm.tick(**fresh(arm, START))
    output = arm.tick(event, **changes)
    assert output.mode is Mode.IDLE
    assert reason in output.answers[0].error


def test_where_the_policy_says_nothing_the_arm_can_still_be_parked() -> None:
    stale = {"chunks": ()}
    for park, words in ((PARK, "; `actd park` moves without the policy"), (None, "")):
        arm = rig(park=park)
        error = arm.tick(Event.APPROACH, **stale).answers[0].error
        assert error.startswith("the chunk has not delivered")
        assert error.endswith(words or "yet")
        assert "actd park" not in arm.tick(Event.ARM, **stale).answers[0].error


def test_without_a_pose_there_is_nowhere_to_park() -> None:
    arm = rig(park=None)
    output = arm.tick(Event.PARK)
    assert output.mode is Mode.IDLE
    assert "there is no pose park; `actd pose save park` and start" in output.answers[0].error


@pytest.mark.parametrize("event", [Event.PARK, Event.APPROACH])
def test_an_armed_arm_is_held_before_it_is_moved(event: Event) -> None:
    arm = rig(START).armed(np.linspace(START, [0.5, 0.0], 100))
    assert arm.tick(event).answers[0].error == "armed; `actd hold` first"
    arm.run(40)
    ramping = arm.tick(Event.HOLD, event, **fresh(arm, START))
    assert "still ramping to rest" in ramping.answers[1].error
    fed(arm, START, 30)
    ordered(arm, event, **fresh(arm, START))


def test_what_was_dragged_away_in_hold_is_not_moved_from_there() -> None:
    arm = rig(start_distance=0.1, follow_distance=0.5)
    ordered(arm, Event.PARK)
    until(arm, Mode.HOLD)
    arm.positions = arm.positions + 0.3
    error = arm.tick(Event.PARK).answers[0].error
    assert "the held command is 0.3 from the measured position" in error


def test_joints_that_a_pose_leaves_out_stay_and_the_shortest_way_is_taken() -> None:
    arm = rig(
        [3.0, 0.7, 0.3],
        joints=3,
        kinds=("continuous", "gripper", "velocity"),
        turn=[2 * np.pi, 0.0, 0.0],
        lower=[-1e9, 0.0, -1.0],
        upper=[1e9, 1.0, 1.0],
        follow_distance=np.inf,
        park=[-3.0, np.nan, np.nan],
        start=None,
    )
    ordered(arm, Event.PARK)
    output = until(arm, Mode.HOLD)
    assert output.action is not None
    np.testing.assert_allclose(output.action, [-3.0, 0.7, 0.0])
    turned = np.abs(arm.commands()[:, 0])
    assert turned.min() >= 3.0 - 1e-9, "it went round the other side"


# --- what ends a move


@pytest.mark.parametrize("event", [Event.PARK, Event.APPROACH])
@pytest.mark.parametrize(("changes", "mode", "reason"), ENDS_AN_ORDER)
def test_what_ends_a_move_ends_it_for_good(
    event: Event, changes: dict[str, Any], mode: Mode, reason: str
) -> None:
    arm = rig()
    arm.tick(**fresh(arm, START))
    ordered(arm, event)
    fed(arm, START, 20)
    output = arm.tick(**changes)
    assert (output.mode, output.move) == (mode, None)
    assert reason in output.reason
    assert fed(arm, START, 150).mode is mode
    assert arm.controller.at_rest


@pytest.mark.parametrize(
    ("changes", "mode", "reason"),
    [
        ({"camera_ages_ns": {"top": 900 * MS}}, Mode.HOLD, "camera top is 900 ms old"),
        ({"camera_unchanged_ns": {"top": 900 * MS}}, Mode.HOLD, "camera top has shown the same"),
        ({"openings": 1}, Mode.FAULT, "camera was reopened"),
    ],
)
def test_on_the_way_to_be_armed_cameras_matter(
    changes: dict[str, Any], mode: Mode, reason: str
) -> None:
    arm = rig()
    arm.tick(**fresh(arm, START))
    ordered(arm, Event.APPROACH)
    output = arm.tick(**changes)
    assert output.mode is mode
    assert reason in output.reason


def test_a_policy_that_falls_silent_ends_the_way_to_it() -> None:
    arm = rig()
    arm.tick(**fresh(arm, START))
    ordered(arm, Event.APPROACH)
    output = until(arm, Mode.HOLD)
    assert "the chunk is" in output.reason


def test_an_arm_that_is_blocked_is_a_fault() -> None:
    arm = rig([0.0, 0.0], park=[1.5, 1.5])
    ordered(arm, Event.PARK)
    arm.run(20)
    arm.body = lambda positions, _: positions + np.array([0.0, 1e-3])  # noise of a sensor
    output = until(arm, Mode.FAULT)
    assert "does not follow" in output.reason


def test_an_arm_whose_positions_are_not_measured_any_more_is_held() -> None:
    arm = rig([0.0, 0.0], park=[2.5, 2.5], follow_distance=3.0)
    ordered(arm, Event.PARK)
    arm.run(20)
    arm.body = blocked
    output = until(arm, Mode.HOLD)
    assert "stand still" in output.reason


def test_a_move_ends_where_the_arm_is_too() -> None:
    arm = rig()
    arm.body = lagging(0.1, arm.settings.period_ns)
    ordered(arm, Event.PARK)
    assert until(arm, Mode.HOLD).reason == PARKED
    assert np.abs(arm.positions - PARK).max() < 0.05


# --- arm --from-here


def drive(arm: Rig, rows: Any, *modes: Mode, limit: int = 400) -> Output:
    """Ticks with a new chunk in each, until one of these modes."""
    for _ in range(limit):
        output = arm.tick(**fresh(arm, rows))
        if output.mode in modes:
            return output
    raise AssertionError(f"{output.mode.name}: {output.reason}")


@pytest.mark.parametrize("start", [START, None])
def test_from_here_arms_where_the_policy_starts(start: list[float] | None) -> None:
    arm = rig([2.0, 2.0], start=start)
    arm.tick(**fresh(arm, START))
    assert "`actd arm --from-here` moves it there" in arm.tick(Event.ARM).answers[0].error
    ordered(arm, Event.APPROACH)
    output = drive(arm, START, Mode.ARMED)
    assert output.reason == ""
    moved = arm.commands()
    np.testing.assert_allclose(moved[-1], START, atol=1e-6)
    assert fed(arm, START, 20).mode is Mode.ARMED


def test_it_is_armed_only_by_what_the_policy_says_of_where_it_is_now() -> None:
    arm = rig(chunk_size=400, n_action_steps=400)
    arm.tick(chunks=(arm.chunk(START),))
    ordered(arm, Event.APPROACH)
    for _ in range(100):
        output = arm.tick()
        if output.move is not None and output.move.left_ns == 0:
            break
    else:
        raise AssertionError("never there")
    assert {output.mode for output in arm.run(20)} == {Mode.MOVING}
    arm.tick(**fresh(arm, START))
    assert arm.tick().mode is Mode.ARMED


def test_a_policy_that_starts_elsewhere_is_not_armed() -> None:
    arm = rig()
    elsewhere = [START[0] + 0.9, START[1]]
    arm.tick(**fresh(arm, elsewhere))
    ordered(arm, Event.APPROACH)
    output = drive(arm, elsewhere, Mode.HOLD, Mode.ARMED)
    assert output.mode is Mode.HOLD
    assert "not armed where the move ended: joint j0: the policy's first command is 0.9" in (
        output.reason
    )
    assert "save a pose start" in output.reason


# --- whatever happens


@hypothesis_settings(max_examples=60, deadline=None)
@given(
    found=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    pose=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
    velocity=st.tuples(st.floats(0.3, 6), st.floats(0.3, 6)),
    acceleration=st.tuples(st.floats(0.5, 40), st.floats(0.5, 40)),
    hz=st.sampled_from([20.0, 50.0, 200.0]),
    share=st.floats(0, 1.2),
    end=st.sampled_from([Event.HOLD, Event.STOP, Event.FAULT, "state", "source", "silence"]),
    skipped=st.booleans(),
)
def test_no_end_leads_off_the_way_or_over_a_limit(  # noqa: PLR0917
    found: Any,
    pose: Any,
    velocity: Any,
    acceleration: Any,
    hz: float,
    share: float,
    end: Event | str,
    skipped: bool,
) -> None:
    """And the same inputs give the same commands again, to the last bit."""
    arm = Rig(
        settings(
            hz=hz, park=pose, velocity=velocity, acceleration=acceleration,
            start_distance=9.0, follow_distance=9.0,
        ),
        found,
    )  # fmt: skip
    first = ordered(arm, Event.PARK)
    assert first.move is not None
    before = round(share * first.move.left_ns / arm.settings.period_ns)
    arm.run(min(before, 400))
    if skipped:
        arm.tick(late_ns=arm.settings.period_ns)
    ends: dict[Any, dict[str, Any]] = {
        "state": {"state_age_ns": None},
        "source": {"source": 1},
        "silence": {"late_ns": 500 * MS},
    }
    arm.tick(**ends.get(end, {"commands": ((1, end),)}))
    arm.run(round(max(velocity) / min(acceleration) * hz) + 3)
    assert arm.controller.at_rest
    commands = np.concatenate(([found], arm.commands()))
    low, high = np.minimum(found, pose), np.maximum(found, pose)
    assert (commands >= low - 1e-9).all()
    assert (commands <= high + 1e-9).all()
    dt_s = arm.settings.period_ns / 1e9
    speed = np.diff(commands, axis=0, prepend=commands[:1]) / dt_s
    assert (np.abs(speed) <= np.array(velocity) * (1 + 1e-6) + 1e-6).all()
    # After a silence the arm stands where it stood.
    if end != "silence":
        change = np.abs(np.diff(speed, axis=0))
        assert (change <= np.array(acceleration) * dt_s * (1 + 1e-6) + 1e-6).all()
    way = np.array(pose) - found
    off = np.abs(way[0] * (commands[:, 1] - found[1]) - way[1] * (commands[:, 0] - found[0]))
    assert (off <= 1e-9 * (1 + np.abs(way).max())).all(), "off the line"


def test_the_same_inputs_move_the_arm_the_same_way_again() -> None:
    arm, inputs = rig(), []
    decide = arm.controller.tick
    arm.controller.tick = lambda seen: inputs.append(seen) or decide(seen)  # type: ignore[method-assign, func-returns-value]
    arm.tick(**fresh(arm, START))
    ordered(arm, Event.APPROACH)
    drive(arm, START, Mode.ARMED)
    arm.tick(Event.HOLD)
    arm.run(5)
    ordered(arm, Event.PARK)
    until(arm, Mode.HOLD)
    again = Controller(arm.settings)
    for seen, before in zip(inputs, arm.outputs, strict=True):
        now = again.tick(seen)
        assert now._replace(action=None, rest=None) == before._replace(action=None, rest=None)
        for one, other in ((now.action, before.action), (now.rest, before.rest)):
            assert (None if one is None else one.tobytes()) == (
                None if other is None else other.tobytes()
            )


def test_a_move_is_no_underrun() -> None:
    arm = rig()
    ordered(arm, Event.PARK)
    assert not any(output.flags & Flag.UNDERRUN for output in arm.run(30))
