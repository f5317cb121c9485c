"""One tick after another through the whole decision: arming, gaps, faults, stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.control.controller import Controller, ControlSettings, Inputs, Output
from actd.control.guard import Flag, Limits
from actd.control.plan import Plan, PlanSettings
from actd.control.staleness import MaxAge
from actd.control.state import Event
from actd.mode import Mode

PERIOD_NS = 20_000_000
JOINTS = ("shoulder", "elbow")
SETTINGS = ControlSettings(
    joints=JOINTS,
    period_ns=PERIOD_NS,
    plan=PlanSettings("latest", 50.0, 20, 2, 20, 0.01, 100_000_000),
    limits=Limits(
        np.array([-1.0, -1.0]),
        np.array([1.0, 1.0]),
        np.array([2.0, 2.0]),
        np.array([10.0, 10.0]),
        np.array([np.inf, np.inf]),
    ),
    start_distance=np.array([0.3, 0.3]),
    max_age=MaxAge(),
    ease_in_ns=200_000_000,
    actuation_latency_ns=0,
)


class Bench:
    """Drives a controller tick by tick with everything fresh unless told otherwise."""

    def __init__(self, settings: ControlSettings = SETTINGS) -> None:
        self.controller = Controller(settings)
        self.due_ns = 10**9
        self.number = 0
        self.pose = np.zeros(2)
        self.outputs: list[Output] = []

    def tick(self, *events: Event, plan: float | None = 0.1, **changes: object) -> Output:
        plans = self.coming(plan)
        self.number += len(plans)
        self.due_ns += PERIOD_NS
        inputs = Inputs(
            due_ns=self.due_ns,
            pose=self.pose,
            state_age_ns=1_000_000,
            camera_ages_ns={"top": 30_000_000},
            camera_unchanged_ns={"top": 0},
            controller_age_ns=0,
            plans=plans,
            commands=tuple((k + 1, event) for k, event in enumerate(events)),
        )
        output = self.controller.tick(inputs._replace(**changes))
        if output.action is not None:
            self.pose = np.array(output.action)
        self.outputs.append(output)
        return output

    def coming(self, plan: float | None) -> tuple[Plan, ...]:
        if plan is None:
            return ()
        actions = np.full((20, 2), plan, np.float32)
        return (Plan(self.number + 1, self.due_ns + PERIOD_NS - 10_000_000, actions),)

    def armed(self) -> Bench:
        self.tick()
        assert self.tick(Event.ARM).answers == ((1, ""),)
        return self


def test_idle_commands_nothing() -> None:
    output = Bench().tick()
    assert output.mode is Mode.IDLE
    assert output.action is None


def test_armed_eases_in_and_then_follows_the_plan() -> None:
    bench = Bench().armed()
    first = bench.outputs[-1]
    assert first.mode is Mode.ARMED
    assert first.action is not None
    assert abs(first.action).max() < 0.01
    assert first.flags & Flag.EASING
    for _ in range(60):
        output = bench.tick()
    assert output.action == pytest.approx([0.1, 0.1])
    assert not output.flags


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plans": ()}, "the plan has not delivered"),
        ({"state_age_ns": None}, "robot state has not delivered"),
        ({"state_age_ns": 300_000_000}, "robot state is 300 ms old (limit 200 ms)"),
        ({"camera_ages_ns": {"top": None}}, "camera top has not delivered"),
        ({"camera_ages_ns": {"top": 900_000_000}}, "camera top is 900 ms old (limit 500 ms)"),
        ({"controller_age_ns": None}, "no controller is listening"),
        ({"controller_age_ns": 1}, "no controller is listening"),
        (
            {"camera_unchanged_ns": {"top": 1_500_000_000}},
            "camera top has shown the same picture for 1500 ms (limit 1000 ms)",
        ),
        ({"pose": np.array([0.0, -0.9])}, "joint elbow: the policy's first command is 1"),
    ],
)
def test_arming_is_refused_by_name(changes: dict[str, object], reason: str) -> None:
    bench = Bench()
    output = bench.tick(Event.ARM, **changes)
    assert reason in output.answers[0][1]
    assert output.mode is Mode.IDLE


def test_all_reasons_come_at_once() -> None:
    answer = (
        Bench().tick(Event.ARM, plans=(), state_age_ns=None, controller_age_ns=None).answers[0][1]
    )
    assert answer.count(";") == 2


def test_a_short_gap_holds_and_recovers_by_itself() -> None:
    bench = Bench().armed()
    for _ in range(30):
        bench.tick()
    output = bench.tick(plan=None, state_age_ns=300_000_000)
    assert output.mode is Mode.HOLD
    assert output.flags & Flag.STARVED
    assert output.flags & Flag.STATE_STALE
    assert bench.tick().mode is Mode.ARMED


@pytest.mark.parametrize(
    ("changes", "flag"),
    [
        ({"state_age_ns": 300_000_000}, Flag.STATE_STALE),
        ({"controller_age_ns": 600_000_000}, Flag.CONTROLLER_LOST),
    ],
)
def test_a_stream_lost_for_a_moment_holds_and_for_long_faults(
    changes: dict[str, object], flag: Flag
) -> None:
    bench = Bench().armed()
    output = bench.tick(**changes)
    assert output.mode is Mode.HOLD
    assert output.flags & Flag.STARVED
    assert output.flags & flag
    assert bench.tick().mode is Mode.ARMED
    modes = [bench.tick(**changes).mode for _ in range(150)]
    assert set(modes[:100]) == {Mode.HOLD}
    assert modes[-1] is Mode.FAULT
    assert bench.tick().mode is Mode.FAULT


def test_a_controller_that_left_just_now_does_not_hold_yet() -> None:
    output = Bench().armed().tick(controller_age_ns=400_000_000)
    assert output.mode is Mode.ARMED
    assert not output.flags & Flag.CONTROLLER_LOST


def test_a_frozen_camera_is_flagged_and_held_through_the_age_of_the_plan() -> None:
    bench = Bench().armed()
    frozen = {"camera_unchanged_ns": {"top": 2 * 10**9}}
    output = bench.tick(**frozen)
    assert output.flags & Flag.CAMERA_FROZEN
    assert not output.flags & Flag.CAMERA_STALE
    assert output.mode is Mode.ARMED
    modes = [bench.tick(plan=None, **frozen).mode for _ in range(60)]
    assert modes[-1] is Mode.HOLD


def test_a_camera_may_show_one_picture_for_ever_where_that_is_allowed() -> None:
    still = replace(SETTINGS, max_age=MaxAge(frozen_ns=0))
    bench = Bench(still)
    changes = {"camera_unchanged_ns": {"top": 10**15}}
    bench.tick(**changes)
    output = bench.tick(Event.ARM, **changes)
    assert output.answers == ((1, ""),)
    assert not output.flags & Flag.CAMERA_FROZEN


def test_a_long_gap_latches_fault_and_only_reset_and_arm_lead_out() -> None:
    bench = Bench().armed()
    modes = [bench.tick(plan=None, state_age_ns=10**9).mode for _ in range(150)]
    assert modes[0] is Mode.HOLD
    assert modes[-1] is Mode.FAULT
    assert bench.tick().mode is Mode.FAULT
    assert "reset first" in bench.tick(Event.ARM).answers[0][1]
    assert bench.tick(Event.RESET).mode is Mode.IDLE
    bench.tick()
    assert bench.tick(Event.ARM).mode is Mode.ARMED


def test_a_silence_of_the_tick_itself_is_a_gap_too() -> None:
    short, long = Bench().armed(), Bench().armed()
    limit_ns = SETTINGS.max_age.fault_after_ns
    short.due_ns += limit_ns - 2 * PERIOD_NS
    assert short.tick().mode is Mode.ARMED
    long.due_ns += limit_ns
    assert long.tick().mode is Mode.FAULT
    assert long.tick().mode is Mode.FAULT


def test_plans_that_stop_coming_hold_before_the_chunk_runs_out() -> None:
    """A frozen camera makes no plan; the last chunk must not be played blindly to its end."""
    long = replace(SETTINGS, plan=replace(SETTINGS.plan, chunk_size=500, n_action_steps=500))
    bench = Bench(long)
    actions = np.full((500, 2), 0.1, np.float32)
    bench.tick(plans=(Plan(1, bench.due_ns, actions),))
    assert bench.tick(Event.ARM, plan=None).mode is Mode.ARMED
    modes = [bench.tick(plan=None).mode for _ in range(60)]
    assert modes[40] is Mode.ARMED
    assert modes[-1] is Mode.HOLD


def test_an_operators_hold_does_not_recover_by_itself() -> None:
    bench = Bench().armed()
    bench.tick(Event.HOLD)
    assert all(bench.tick().mode is Mode.HOLD for _ in range(200))


def test_what_is_not_finite_is_a_latched_fault() -> None:
    bench = Bench().armed()
    output = bench.tick(plan=float("nan"))
    for _ in range(10):
        output = bench.tick(plan=float("nan"))
    assert output.mode is Mode.FAULT
    assert output.action is not None
    assert np.isfinite(output.action).all()
    bench.tick(Event.RESET)
    bench.tick()
    assert bench.tick(Event.ARM).mode is Mode.ARMED


def test_hold_and_stop_ramp_to_rest() -> None:
    for event in (Event.HOLD, Event.STOP):
        bench = Bench().armed()
        for _ in range(14):
            bench.tick(plan=0.9)
        assert not bench.controller.at_rest
        bench.tick(event)
        for _ in range(20):
            bench.tick()
        assert bench.controller.at_rest
        rest = bench.outputs[-1].action
        assert rest is not None
        after = bench.tick().action
        assert after is not None
        np.testing.assert_array_equal(rest, after)


def test_reset_waits_for_the_ramp_to_end() -> None:
    bench = Bench().armed()
    for _ in range(20):
        bench.tick(plan=1.0)
    output = bench.tick(Event.STOP, Event.RESET)
    assert output.answers[1] == (2, "the arm is still ramping to rest: try again")
    assert output.mode is Mode.STOP
    while not bench.controller.at_rest:
        bench.tick()
    assert bench.tick(Event.RESET).mode is Mode.IDLE


def test_every_command_is_answered_with_its_number() -> None:
    bench = Bench()
    answers = bench.tick(Event.HOLD, Event.ARM, Event.STOP).answers
    assert [number for number, _ in answers] == [1, 2, 3]
    assert [bool(why) for _, why in answers] == [True, False, False]


@pytest.mark.parametrize("mode", ["temporal", "queue", "latest"])
def test_a_rehearsal_changes_nothing(mode: str) -> None:
    """Two controllers see the same, one of them rehearses every tick: the same commands."""
    plan = replace(SETTINGS.plan, mode=mode)
    both = Bench(replace(SETTINGS, plan=plan)), Bench(replace(SETTINGS, plan=plan))
    script: dict[int, tuple[Event, ...]] = {
        3: (Event.ARM,),
        60: (Event.HOLD,),
        80: (Event.ARM,),
        200: (Event.STOP,),
        210: (Event.RESET,),
        215: (Event.ARM,),
    }
    for tick in range(260):
        target = None if 100 < tick < 140 or tick % 3 else float(np.sin(tick / 9))
        outputs = []
        for bench in both:
            if bench is both[1]:
                for ahead in (7, 300, 0) if tick % 5 else (0,):
                    due_ns = bench.due_ns + PERIOD_NS * (1 + ahead)
                    bench.controller.rehearse(due_ns, bench.coming(target) if tick % 2 else ())
            outputs.append(bench.tick(*script.get(tick, ()), plan=target))
        one, two = (output._replace(action=None) for output in outputs)
        assert one == two
        actions = [output.action for output in outputs]
        assert (actions[0] is None) == (actions[1] is None)
        if actions[0] is not None:
            assert actions[0].tolist() == actions[1].tolist()


step = st.tuples(
    st.sampled_from([None, None, None, *list(Event)[:4]]),
    st.one_of(st.none(), st.floats(-5, 5), st.just(float("nan"))),
    st.sampled_from([1_000_000, 10**9, None]),
    st.sampled_from([10_000_000, 10**9, None]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(step, min_size=1, max_size=80))
def test_no_history_makes_a_step_beyond_the_limits(
    history: list[tuple[Event | None, float | None, int | None, int | None]],
) -> None:
    """Whatever arrives, late, missing or absurd, consecutive commands obey the guard."""
    bench = Bench()
    last = bench.pose
    bench.armed()
    velocity = (bench.pose - last) / (PERIOD_NS / 1e9)
    last = bench.pose
    for event, plan, state_age, camera_age in history:
        events = (event,) if event else ()
        output = bench.tick(
            *events, plan=plan, state_age_ns=state_age, camera_ages_ns={"top": camera_age}
        )
        if output.action is None:
            last, velocity = bench.pose, np.zeros(2)
            continue
        assert np.isfinite(output.action).all()
        assert (np.abs(output.action) <= 1 + 1e-9).all()
        speed = (output.action - last) / (PERIOD_NS / 1e9)
        assert (np.abs(speed) <= 2 + 1e-6).all()
        assert (np.abs(speed - velocity) <= 10 * PERIOD_NS / 1e9 + 1e-6).all()
        last, velocity = np.array(output.action), speed
