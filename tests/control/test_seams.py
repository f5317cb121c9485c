"""Whatever arrives, in whatever order: no command the arm should not get.

A machine of rules plays the rest of the daemon: plans that are late, early, missing, repeated,
out of order, absurd or not finite, streams that stop, operators, skipped ticks. After
every tick the promises are checked against the commands alone.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from actd.control.controller import Controller, ControlSettings, Inputs, Output
from actd.control.guard import Flag, Limits
from actd.control.plan import Plan, PlanSettings
from actd.control.staleness import MaxAge
from actd.control.state import Event
from actd.mode import Mode

JOINTS = ("smooth", "linear", "gripper", "jerky")
CHUNK = 12
LIMITS = Limits(
    lower=np.array([-1.0, -0.5, 0.0, -1.0]),
    upper=np.array([1.0, 0.5, 1.0, 1.0]),
    velocity=np.array([2.0, 1.0, 5.0, 2.0]),
    acceleration=np.array([10.0, 5.0, 60.0, 10.0]),
    jerk=np.array([np.inf, np.inf, np.inf, 150.0]),
)
START_DISTANCE = 0.4
# From the largest speed to rest: 0.2 s, and the jerk-limited joint on the way.
REST_NS = 700_000_000

events = st.sampled_from([Event.ARM, Event.HOLD, Event.STOP, Event.RESET])


class Seams(RuleBasedStateMachine):
    """Rules set what the next ticks see; `advance` ticks and checks."""

    @initialize(
        mode=st.sampled_from(["temporal", "queue", "latest"]),
        rate_hz=st.sampled_from([10, 30, 50, 200, 1000]),
        policy_hz=st.sampled_from([7.5, 30.0, 50.0]),
        latency_ns=st.sampled_from([0, 40_000_000]),
    )
    def begin(self, mode: str, rate_hz: int, policy_hz: float, latency_ns: int) -> None:
        self.period_ns = 10**9 // rate_hz
        self.policy_ns = round(1e9 / policy_hz)
        self.max_age = MaxAge(fault_after_ns=1_000_000_000)
        plan = PlanSettings(
            mode,  # type: ignore[arg-type]
            policy_hz,
            CHUNK,
            len(JOINTS),
            CHUNK // 2,
            crossfade_ns=3 * self.policy_ns,
            interpolation=("smooth", "linear", "hold", "smooth"),
            max_plans=16,
        )
        self.controller = Controller(
            ControlSettings(
                joints=JOINTS,
                period_ns=self.period_ns,
                plan=plan,
                limits=LIMITS,
                start_distance=np.full(len(JOINTS), START_DISTANCE),
                max_age=self.max_age,
                ease_in_ns=300_000_000,
                actuation_latency_ns=latency_ns,
            )
        )
        self.due_ns = 10**12
        self.pose = np.array([0.0, 0.0, 0.5, 0.0])
        self.plans: list[Plan] = []
        self.made: list[Plan] = []
        self.events: list[Event] = []
        self.state_age_ns: int | None = 0
        self.controller_age_ns: int | None = 0
        self.camera_age_ns: int | None = 0
        self.unchanged_ns = 0
        self.forget()
        self.armed_since_reset = False
        self.last_mode = Mode.IDLE
        self.settled_ns = 0

    def forget(self) -> None:
        self.last = self.pose.copy()
        self.speed = np.zeros(len(JOINTS))
        self.change = np.zeros(len(JOINTS))

    # What the world does.

    def send(self, age_ns: int, actions: np.ndarray) -> None:
        plan = Plan(len(self.made) + 1, self.due_ns - age_ns, actions.astype(np.float32))
        self.made.append(plan)
        self.plans.append(plan)

    @rule(
        age_ns=st.integers(0, 300_000_000),
        ends=st.lists(st.floats(-1.5, 1.5), min_size=4, max_size=4),
    )
    def a_plan_from_here_to_anywhere(self, age_ns: int, ends: list[float]) -> None:
        share = np.linspace(0, 1, CHUNK)[:, None]
        self.send(age_ns, (1 - share) * self.last + share * np.array(ends))

    @rule(age_ns=st.integers(0, 100_000_000))
    def a_plan_to_stay(self, age_ns: int) -> None:
        self.send(age_ns, np.tile(self.last, (CHUNK, 1)))

    @rule(age_ns=st.integers(-200_000_000, 3_000_000_000), level=st.floats(-1e6, 1e6))
    def a_wild_plan_early_or_late(self, age_ns: int, level: float) -> None:
        self.send(age_ns, np.full((CHUNK, 4), level) * np.array([1, -1, 1, -1]))

    @rule(seed=st.integers(0, 99))
    def a_noisy_plan(self, seed: int) -> None:
        self.send(10_000_000, np.random.default_rng(seed).normal(size=(CHUNK, 4)))

    @rule(row=st.integers(0, CHUNK - 1), bad=st.sampled_from([np.nan, np.inf, -np.inf]))
    def a_plan_that_is_not_finite(self, row: int, bad: float) -> None:
        actions = np.tile(self.last, (CHUNK, 1))
        actions[row, 1] = bad
        self.send(5_000_000, actions)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def an_old_plan_again(self, data: st.DataObject) -> None:
        self.plans.append(data.draw(st.sampled_from(self.made)))

    @precondition(lambda self: len(self.plans) > 1)
    @rule()
    def plans_out_of_order(self) -> None:
        self.plans.reverse()

    @rule(age_ns=st.sampled_from([0, 10_000_000, 300_000_000, None]))
    def the_robots_state(self, age_ns: int | None) -> None:
        self.state_age_ns = age_ns

    @rule(age_ns=st.sampled_from([0, 100_000_000, 900_000_000, None]))
    def the_controller(self, age_ns: int | None) -> None:
        self.controller_age_ns = age_ns

    @rule(
        age_ns=st.sampled_from([0, 900_000_000, None]),
        unchanged_ns=st.sampled_from([0, 5_000_000_000]),
    )
    def the_camera(self, age_ns: int | None, unchanged_ns: int) -> None:
        self.camera_age_ns, self.unchanged_ns = age_ns, unchanged_ns

    @rule()
    def all_is_well_again(self) -> None:
        self.state_age_ns = self.controller_age_ns = self.camera_age_ns = 0
        self.unchanged_ns = 0

    @precondition(lambda self: self.last_mode is Mode.IDLE)
    @rule(pose=st.lists(st.floats(0, 0.5), min_size=4, max_size=4))
    def the_arm_is_moved_by_hand(self, pose: list[float]) -> None:
        self.pose = np.array(pose)

    @rule(asked=st.lists(events, min_size=1, max_size=3))
    def operators(self, asked: list[Event]) -> None:
        self.events += asked

    @rule()
    def an_operator_does_all_it_takes_to_arm(self) -> None:
        self.all_is_well_again()
        self.advance([0, 0])
        self.events = [Event.STOP]
        self.advance([0])
        while not self.controller.at_rest:
            self.advance([0])
        self.events = [Event.RESET]
        self.advance([0])
        self.a_plan_to_stay(0)
        self.events = [Event.ARM]
        assert self.advance([0]).mode is Mode.ARMED

    @rule(skipped=st.lists(st.sampled_from([0, 0, 0, 0, 1, 7]), min_size=1, max_size=40))
    def time_passes(self, skipped: list[int]) -> None:
        self.advance(skipped)

    @rule(ticks=st.integers(1, 60))
    def inference_keeps_up(self, ticks: int) -> None:
        for tick in range(ticks):
            if tick * self.period_ns // self.policy_ns != (tick - 1) * self.period_ns // (
                self.policy_ns
            ):
                self.a_plan_from_here_to_anywhere(20_000_000, [0.5, -0.2, 1.2, -0.5])
            self.advance([0])

    # What must hold.

    def advance(self, skipped: list[int]) -> Output:
        for missed in skipped:
            self.due_ns += (1 + missed) * self.period_ns
            output = self.tick()
            self.check(output)
        return output

    def tick(self) -> Output:
        inputs = Inputs(
            due_ns=self.due_ns,
            pose=self.pose.copy(),
            state_age_ns=self.state_age_ns,
            camera_ages_ns={"top": self.camera_age_ns},
            camera_unchanged_ns={"top": self.unchanged_ns},
            controller_age_ns=self.controller_age_ns,
            plans=tuple(self.plans),
            commands=tuple(enumerate(self.events, start=1)),
        )
        self.asked, self.plans, self.events = self.events, [], []
        return self.controller.tick(inputs)

    def check(self, output: Output) -> None:
        before = self.last_mode
        self.check_modes(output)
        if output.action is None:
            assert output.mode is Mode.IDLE  # and in IDLE nothing is commanded
            self.forget()
            return
        assert output.mode is not Mode.IDLE
        if before is Mode.IDLE:
            assert (np.abs(output.action - self.pose) <= START_DISTANCE).all()
            self.forget()
        speed_before = self.speed
        self.check_motion(output.action)
        if output.mode is Mode.ARMED:
            self.settled_ns = self.due_ns
            return
        # Whatever was asked for, HOLD, FAULT and STOP only lose speed.
        slower = self.speed * np.sign(speed_before)
        free = np.isinf(LIMITS.jerk)  # a limited jerk may take the speed a little further
        assert (slower[free] >= -1e-6).all()
        assert (slower[free] <= np.abs(speed_before)[free] + 1e-6).all()
        if self.due_ns - self.settled_ns > REST_NS + 20 * self.period_ns:
            assert not self.speed.any()

    def check_motion(self, action: np.ndarray) -> None:
        dt = self.period_ns / 1e9
        rounding = 1e-14 + 1e-11 * LIMITS.velocity * dt
        assert np.isfinite(action).all()
        assert (action >= LIMITS.lower).all()
        assert (action <= LIMITS.upper).all()
        speed = (action - self.last) / dt
        assert (np.abs(speed) <= LIMITS.velocity * (1 + 1e-6) + rounding / dt).all()
        change = (speed - self.speed) / dt
        assert (np.abs(change) <= LIMITS.acceleration * (1 + 1e-6) + rounding / dt**2).all()
        jerk = np.abs(change - self.change) / dt
        assert (jerk <= LIMITS.jerk * (1 + 1e-6) + rounding / dt**3).all()
        self.last, self.speed, self.change = np.array(action), speed, change
        self.pose = self.last  # the simulated arm is where it was told to be

    def check_modes(self, output: Output) -> None:
        mode, before = output.mode, self.last_mode
        if before is Mode.IDLE and mode is not Mode.IDLE:
            assert Event.ARM in self.asked or Event.STOP in self.asked
        if before in (Mode.FAULT, Mode.STOP) and mode not in (before, Mode.STOP):
            assert Event.RESET in self.asked
        if mode is Mode.ARMED and before in (Mode.IDLE, Mode.FAULT, Mode.STOP):
            assert Event.ARM in self.asked
        if mode is Mode.ARMED:
            assert not output.flags & (Flag.STATE_STALE | Flag.CONTROLLER_LOST | Flag.NON_FINITE)
            assert output.plan_age_ns is not None
            assert output.plan_age_ns <= self.max_age.plan_ns
        assert len(output.answers) == len(self.asked)
        self.last_mode = mode


Seams.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
# Numbers that are not finite are mixed before the guard refuses them.
test_seams = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")(Seams.TestCase)
