"""A leader arm leads through the whole controller: what begins it, what ends it, where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actd.arrays import Vector
from actd.control.controller import Controller
from actd.control.limits import Flag
from actd.control.state import Event
from actd.control.tick import Inputs, Output
from actd.mode import Mode
from tests.control.judge import Judge
from tests.control.rig import ENDS_AN_ORDER, MS, Rig, blocked, lagging, settings

HERE = [0.2, -0.4]
OLD = {"camera_ages_ns": {"top": None}}


class Led(Rig):
    """A rig whose arm an operator's leader may lead; its place goes with every tick."""

    leader: Vector = np.array(HERE)

    def tick(self, *events: Event, late_ns: int = 0, **changes: Any) -> Output:
        told = {"leader": self.leader.copy(), "leader_age_ns": 5 * MS}
        return super().tick(*events, late_ns=late_ns, **{**told, **changes})

    def lead(self, place: Any, ticks: int, **changes: Any) -> list[Output]:
        """The leader goes straight to `place` within some ticks."""
        begin = self.leader
        outputs = []
        for k in range(1, ticks + 1):
            self.leader = begin + (np.array(place) - begin) * k / ticks
            outputs.append(self.tick(**changes))
        return outputs


def led(found: Any = HERE, leader: Any = HERE, **changes: Any) -> Led:
    """An arm that is led, without cameras, chunks and easing unless told otherwise."""
    arm = Led(settings(**changes), found)
    arm.leader = np.array(leader, dtype=float)
    output = arm.tick(Event.TAKEOVER, **OLD)
    assert output.answers[0].error == "", output.answers
    assert (output.mode, output.reason) == (Mode.TAKEOVER, "operator: takeover")
    return arm


def test_the_arm_goes_where_the_leader_goes_without_cameras_or_a_policy() -> None:
    arm = led()
    arm.lead([1.0, 0.6], 100, **OLD)
    output = arm.run(50, **OLD)[-1]
    assert output.mode is Mode.TAKEOVER
    np.testing.assert_allclose(arm.positions, [1.0, 0.6], atol=1e-9)
    assert not output.flags & ~(Flag.CAMERA_STALE | Flag.UNDERRUN)


def test_the_command_fades_to_the_leader_within_the_time_of_easing_in() -> None:
    arm = led(leader=[0.5, -0.1], ease_in_ns=1000 * MS)
    first = arm.tick().action
    assert first is not None
    assert np.abs(first - HERE).max() < 2e-3
    eased = arm.run(46)
    assert all(output.flags & Flag.EASING for output in eased)
    assert arm.run(5)[-1].action is not None
    np.testing.assert_allclose(arm.positions, [0.5, -0.1], atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"leader": None, "leader_age_ns": None}, "no leader sends its positions; give actd drive"),
        ({"leader_age_ns": 201 * MS}, "the leader is 201 ms old (limit 200 ms)"),
        (
            {"leader": np.array([0.2, 0.7])},
            "joint j1: the leader is 1.1 from the measured position (limit 0.5); bring the leader",
        ),
        ({"state_age_ns": 300 * MS}, "robot state is 300 ms old"),
        ({"controller_age_ns": None}, "no robot controller acknowledges"),
        ({"rivals": True}, "two programs send the robot's state"),
    ],
)
def test_a_takeover_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    arm = Led(settings(), HERE)
    arm.tick()
    output = arm.tick(Event.TAKEOVER, **changes)
    assert (output.mode, output.action) == (Mode.IDLE, None)
    assert reason in output.answers[0].error


def test_a_leader_alone_moves_nothing() -> None:
    arm = Led(settings(), HERE).armed(HERE)
    arm.lead([2.0, 2.0], 10)
    assert arm.tick().mode is Mode.ARMED
    np.testing.assert_allclose(arm.positions, HERE, atol=1e-6)
    arm.tick(Event.HOLD)
    arm.lead(HERE, 10)
    assert arm.tick().mode is Mode.HOLD
    np.testing.assert_allclose(arm.positions, HERE, atol=1e-6)


@pytest.mark.parametrize("acceleration", [1.0, 8.0, 60.0])
def test_the_command_never_goes_beyond_the_leader(acceleration: float) -> None:
    """However slow the arm: a leader that stops at the table stops the command there."""
    arm = led([1.0, 0.0], [1.0, 0.0], acceleration=acceleration, ease_in_ns=200 * MS)
    arm.lead([0.0, 0.0], 50)
    arm.run(200)
    assert arm.commands()[:, 0].min() >= -1e-9
    np.testing.assert_allclose(arm.positions, [0.0, 0.0], atol=1e-6)


# --- from a policy and back to it


def test_an_operator_takes_over_from_a_moving_policy_without_a_step() -> None:
    way = np.linspace(HERE, [1.4, 0.8], 100)
    arm = Led(settings(ease_in_ns=300 * MS), HERE).armed(way)
    arm.run(50)
    arm.leader = arm.positions + 0.05
    speed_before = np.diff(arm.commands(), axis=0)[-1] * 50
    assert np.abs(speed_before).max() > 0.5
    assert arm.tick(Event.TAKEOVER).mode is Mode.TAKEOVER
    arm.run(60)
    speeds = np.diff(arm.commands(), axis=0) * 50
    assert np.abs(np.diff(speeds, axis=0)).max() <= 8.0 / 50 * (1 + 1e-6)
    np.testing.assert_allclose(arm.positions, arm.leader, atol=1e-6)


def test_the_policy_goes_on_from_where_the_leader_left_the_arm() -> None:
    arm = led(ease_in_ns=300 * MS)
    arm.lead([0.9, 0.5], 80)
    far = arm.tick(Event.ARM, chunks=(arm.chunk(HERE),)).answers[0].error
    assert "joint j0: the policy's first command is 0.6" in far
    assert "lead the arm there" in far
    assert arm.tick().mode is Mode.TAKEOVER
    arm.tick(chunks=(arm.chunk([1.0, 0.6]),))
    output = arm.tick(Event.ARM)
    assert (output.answers[0].error, output.mode) == ("", Mode.ARMED)
    speeds = np.diff(np.array([o.action for o in arm.run(60)]), axis=0) * 50
    assert np.abs(np.diff(speeds, axis=0)).max() <= 8.0 / 50 * (1 + 1e-6)
    np.testing.assert_allclose(arm.positions, [1.0, 0.6], atol=1e-6)


def test_the_policy_needs_a_fresh_chunk_and_cameras() -> None:
    arm = led()
    arm.tick(chunks=(arm.chunk(HERE, usable_ns=300 * MS),))
    arm.run(20)
    output = arm.tick(Event.ARM, camera_ages_ns={"top": 400 * MS})
    assert output.mode is Mode.TAKEOVER
    assert "camera top is 400 ms old" in output.answers[0].error
    assert "the chunk is 4" in output.answers[0].error


@pytest.mark.parametrize("event", [Event.PARK, Event.APPROACH, Event.RESET, Event.TAKEOVER])
def test_what_else_is_ordered_meanwhile_is_refused(event: Event) -> None:
    arm = led(park=[0.0, 0.0], start=[0.0, 0.0])
    error = arm.tick(event).answers[0].error
    assert error in ("the leader leads; `actd hold` first", "the leader leads already")
    assert arm.tick().mode is Mode.TAKEOVER


# --- what ends it


@pytest.mark.parametrize(
    ("changes", "mode", "reason"),
    [
        ({"leader_age_ns": 201 * MS}, Mode.HOLD, "the leader is 201 ms old (limit 200 ms)"),
        ({"leader": None, "leader_age_ns": None}, Mode.HOLD, "no leader sends its positions"),
        (
            {"leader": np.array([0.9, -0.4])},
            Mode.HOLD,
            "joint j0: the leader jumped by 0.7 (limit 0.5)",
        ),
        *ENDS_AN_ORDER,
    ],
)
def test_what_ends_a_takeover_ends_it_in_this_tick_and_for_good(
    changes: dict[str, Any], mode: Mode, reason: str
) -> None:
    arm = led()
    arm.run(20)
    output = arm.tick(**changes)
    assert output.mode is mode
    assert reason in output.reason
    lost = {"leader", "leader_age_ns"} & set(changes)
    assert bool(output.flags & Flag.LEADER_LOST) == bool(lost)
    assert arm.lead([1.0, 1.0], 150)[-1].mode is mode
    np.testing.assert_allclose(arm.positions, HERE, atol=1e-6)


def test_an_arm_that_is_blocked_is_a_fault() -> None:
    arm = led()
    arm.body = lambda positions, _: positions + np.array([0.0, 1e-4])  # noise of a sensor
    outputs = arm.lead([1.6, -0.4], 80)
    assert "joint j0 does not follow" in next(o for o in outputs if o.mode is Mode.FAULT).reason


def test_an_arm_whose_positions_are_not_measured_any_more_is_held() -> None:
    arm = led(follow_distance=3.0)
    arm.body = blocked
    assert (
        "stand still" in next(o for o in arm.lead([2.0, -0.4], 100) if o.mode is Mode.HOLD).reason
    )


def test_a_continuous_joint_is_led_the_shortest_way() -> None:
    turn = 2 * np.pi
    arm = led(
        [3.0, 0.0], [3.0 - turn, 0.0], kinds=("continuous", "position"), turn=[turn, 0.0],
        lower=[-1e9, -3.0], upper=[1e9, 3.0],
    )  # fmt: skip
    arm.run(10)
    assert np.abs(arm.commands()[:, 0] - 3.0).max() < 1e-9


# --- whatever happens

STEP = st.tuples(
    st.sampled_from([None] * 14 + [Event.TAKEOVER] * 4 + [Event.ARM, Event.HOLD, Event.RESET]),
    st.sampled_from(["walk"] * 10 + ["stay", "leap", "none", "old"]),
    st.sampled_from([5 * MS] * 12 + [300 * MS, None]),
    st.sampled_from([0] * 12 + [5 * MS, 90 * MS, 300 * MS]),
)


@hypothesis_settings(max_examples=150, deadline=None)
@given(
    history=st.lists(STEP, min_size=10, max_size=120),
    hz=st.sampled_from([20.0, 50.0, 200.0]),
    velocity=st.tuples(st.floats(0.2, 8), st.floats(0.2, 8)),
    acceleration=st.tuples(st.floats(0.5, 50), st.floats(0.5, 50)),
    ease_ms=st.sampled_from([0, 100, 1000]),
    lag_s=st.sampled_from([0.0, 0.05]),
    seed=st.integers(0, 2**32 - 1),
)
def test_no_history_leads_beyond_the_leader_or_over_a_limit(  # noqa: PLR0917
    history: list[Any],
    hz: float,
    velocity: tuple[float, float],
    acceleration: tuple[float, float],
    ease_ms: int,
    lag_s: float,
    seed: int,
) -> None:
    """Per joint within all that leader and chunks asked for and where the arm was found; and
    the same inputs give the same commands again, to the last bit.
    """
    arm = Led(
        settings(
            hz=hz, velocity=velocity, acceleration=acceleration, ease_in_ns=ease_ms * MS,
            start_distance=0.6, follow_distance=9.0, chunk_size=20, n_action_steps=20,
        ),
        HERE,
    )  # fmt: skip
    if lag_s:
        arm.body = lagging(lag_s, arm.settings.period_ns)
    inputs = recorded(arm)
    judge, chance = Judge(arm.settings), np.random.default_rng(seed)
    held = None
    for event, moves, state_age_ns, late_ns in ((Event.TAKEOVER, "stay", 5 * MS, 0), *history):
        told: dict[str, Any] = {}
        if moves == "walk":
            arm.leader = np.clip(arm.leader + chance.normal(0, 0.05, 2), -3, 3)
        elif moves == "leap":
            arm.leader = chance.uniform(-3, 3, 2)
        elif moves != "stay":
            told = {"leader": None, "leader_age_ns": None} if moves == "none" else {
                "leader_age_ns": 201 * MS
            }  # fmt: skip
        rows = np.clip(arm.positions + np.cumsum(chance.normal(0, 0.03, (20, 2)), 0), -3, 3)
        chunk = arm.chunk(rows, age_ns=arm.settings.period_ns, usable_ns=0)
        found, before = arm.positions.copy(), arm.outputs[-1].mode if arm.outputs else Mode.IDLE
        output = arm.tick(
            *filter(None, [event]), state_age_ns=state_age_ns, late_ns=late_ns, chunks=(chunk,),
            **told,
        )  # fmt: skip
        judge.took(chunk.actions)
        if output.mode is Mode.TAKEOVER:
            judge.took(arm.leader[None])
        silent = bool(output.flags & Flag.SILENCE)
        judge.judge(output, None if state_age_ns != 5 * MS and not silent else found, silent=silent)
        if before is not Mode.TAKEOVER and output.mode is Mode.TAKEOVER:
            assert event is Event.TAKEOVER
        if held is Mode.TAKEOVER and output.mode is Mode.TAKEOVER:
            assert moves not in ("none", "old"), "led by a leader that is lost"
        held = output.mode
    again = Controller(arm.settings)
    for seen, output in zip(inputs, arm.outputs, strict=True):
        repeated = again.tick(seen)
        assert repeated.mode is output.mode
        if output.action is not None:
            assert repeated.action is not None
            assert repeated.action.tobytes() == output.action.tobytes()


def recorded(arm: Rig) -> list[Inputs]:
    """Fills with the inputs of every tick from now on."""
    inputs: list[Inputs] = []
    tick: Callable[[Inputs], Output] = arm.controller.tick

    def remembered(given: Inputs) -> Output:
        inputs.append(given)
        return tick(given)

    arm.controller.tick = remembered  # type: ignore[method-assign]
    return inputs
