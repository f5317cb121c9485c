"""Whatever arrives, in whatever order: no command the arm should not get.

A machine of rules plays the rest of the daemon and an arm with a body: chunks that are late,
early, missing, repeated, out of order, absurd or not finite, streams that stop, operators,
skipped ticks and suspends; the arm lags, is blocked, loses torque, is moved by hand, and is
restarted. After every tick the promises are checked against the commands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from numpy.typing import NDArray

from actd.control.chunks import ActionChunk, ChunkMode
from actd.control.controller import Controller
from actd.control.limits import Flag, Kind
from actd.control.staleness import MaxAge
from actd.control.state import Event
from actd.control.tick import Inputs, Output
from actd.mode import Mode
from tests.control import rig
from tests.control.judge import DRIVEN, Judge

KINDS: tuple[Kind, ...] = ("position", "position", "gripper", "velocity", "continuous")
JOINTS = len(KINDS)
CHUNK = 12
START_DISTANCE = 0.4
COMPARED = np.array([True, True, False, False, True])
FOLLOW_NS = 200_000_000
REACH = (np.array([-1, -0.5, 0, -1, -9]), np.array([1, 0.5, 1, 1, 9]))

POSES = {
    Event.PARK: np.array([0.6, -0.3, 0.1, np.nan, -2.8]),
    Event.APPROACH: np.array([-0.4, 0.2, 0.8, np.nan, 1.0]),
}
BEGIN = {Event.ARM, *POSES}

events = st.sampled_from([Event.ARM, Event.HOLD, Event.STOP, Event.RESET, *POSES])


class Seams(RuleBasedStateMachine):
    """Rules set what the next ticks see; `advance` ticks and checks."""

    @initialize(
        mode=st.sampled_from(["temporal", "queue", "latest"]),
        rate_hz=st.sampled_from([10, 30, 50, 200, 1000]),
        policy_hz=st.sampled_from([3.0, 7.5, 30.0, 50.0, 100.0]),
        latency_ns=st.sampled_from([0, 40_000_000]),
        ease_ms=st.sampled_from([0, 300]),
    )
    def begin(
        self, mode: ChunkMode, rate_hz: int, policy_hz: float, latency_ns: int, ease_ms: int
    ) -> None:
        self.period_ns = 10**9 // rate_hz
        self.policy_ns = round(1e9 / policy_hz)
        self.max_age = MaxAge(
            camera_ns=500_000_000,
            chunk_ns=1_000_000_000,
            controller_ns=500_000_000,
            fault_after_ns=1_000_000_000,
        )
        self.settings = rig.settings(
            JOINTS,
            hz=rate_hz,
            policy_hz=policy_hz,
            mode=mode,
            chunk_size=CHUNK,
            n_action_steps=CHUNK // 2,
            crossfade_ns=3 * self.policy_ns,
            interpolation=("smooth", "hold", "linear", "linear", "smooth"),
            latency_ns=(latency_ns, 0, latency_ns, 0, 0),
            max_chunks=16,
            kinds=KINDS,
            lower=[-1.0, -0.5, 0.0, -0.5, -1e9],
            upper=[1.0, 0.5, 1.0, 0.5, 1e9],
            velocity=[2.0, 1.0, 1.0, 2.0, 1.5],
            acceleration=[10.0, 5.0, 3.0, 1.0, 4.0],
            turn=[0.0, 0.0, 0.0, 0.0, 2 * np.pi],
            start_distance=[START_DISTANCE, START_DISTANCE, 1.0, 1.0, START_DISTANCE],
            follow_distance=np.where(COMPARED, START_DISTANCE, np.inf),
            follow_ns=FOLLOW_NS,
            ttl_ns=max(100_000_000, 5 * self.period_ns // 2),
            park=POSES[Event.PARK],
            start=POSES[Event.APPROACH],
            max_age=self.max_age,
            ease_in_ns=ease_ms * 1_000_000,
        )
        self.controller = Controller(self.settings)
        self.judge = Judge(self.settings)
        self.due_ns = 10**12
        self.place: NDArray[np.float64] = np.array([0.0, 0.0, 0.5, 0.0, 3.0])
        self.command = self.place.copy()
        self.source = 0
        self.seen, self.stood, self.stopped_idle = self.place.copy(), True, False
        self.driven = True
        self.chunks: list[ActionChunk] = []
        self.made: list[ActionChunk] = []
        self.events: list[Event] = []
        self.inputs: dict[str, Any] = {}
        self.all_is_well_again()
        self.last_mode = Mode.IDLE
        self.away_since_ns: int | None = None
        self.overdue = 0
        self.ticked_ns = 0
        self.recording: list[tuple[Inputs, Output]] = []

    # What the world does.

    def send(self, age_ns: int, actions: NDArray[np.float64]) -> None:
        chunk = ActionChunk(len(self.made) + 1, self.due_ns - age_ns, actions.astype(np.float32))
        self.made.append(chunk)
        self.chunks.append(chunk)

    @rule(
        age_ns=st.integers(0, 300_000_000),
        ends=st.lists(st.floats(-1.2, 1.2), min_size=JOINTS, max_size=JOINTS),
    )
    def a_plan_from_here_to_anywhere(self, age_ns: int, ends: Sequence[float]) -> None:
        share = np.linspace(0, 1, CHUNK)[:, None]
        rows = (1 - share) * self.command + share * np.array(ends)
        # As a policy says it, within half a turn.
        rows[:, 4] = (rows[:, 4] + np.pi) % (2 * np.pi) - np.pi
        self.send(age_ns, rows)

    @rule(age_ns=st.integers(0, 100_000_000))
    def a_plan_to_stay(self, age_ns: int) -> None:
        self.send(age_ns, np.tile(self.command, (CHUNK, 1)))

    @rule(age_ns=st.integers(-200_000_000, 3_000_000_000), level=st.floats(-1e6, 1e6))
    def a_wild_plan_early_or_late(self, age_ns: int, level: float) -> None:
        self.send(age_ns, np.full((CHUNK, JOINTS), level) * np.array([1, -1, 1, -1, 1]))

    @rule(seed=st.integers(0, 99))
    def a_noisy_plan(self, seed: int) -> None:
        noise = np.random.default_rng(seed).normal(size=(CHUNK, JOINTS))
        self.send(10_000_000, self.command + 0.4 * noise)

    @rule(
        row=st.integers(0, CHUNK - 1),
        joint=st.integers(0, JOINTS - 1),
        bad=st.sampled_from([np.nan, np.inf, -np.inf, 1e30]),
    )
    def a_plan_that_is_no_plan(self, row: int, joint: int, bad: float) -> None:
        actions = np.tile(self.command, (CHUNK, 1))
        actions[row, joint] = bad
        self.send(5_000_000, actions)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def an_old_plan_again(self, data: st.DataObject) -> None:
        self.chunks.append(data.draw(st.sampled_from(self.made)))

    @precondition(lambda self: len(self.chunks) > 1)
    @rule()
    def plans_out_of_order(self) -> None:
        self.chunks.reverse()

    @rule(age_ns=st.sampled_from([0, 10_000_000, 300_000_000, None]))
    def the_robots_state(self, age_ns: int | None) -> None:
        self.inputs["state_age_ns"] = age_ns

    @rule(age_ns=st.sampled_from([0, 100_000_000, 900_000_000, None]))
    def the_robots_acknowledgement(self, age_ns: int | None) -> None:
        self.inputs["controller_age_ns"] = age_ns

    @rule(
        age_ns=st.sampled_from([0, 900_000_000, None]),
        unchanged_ns=st.sampled_from([0, 5_000_000_000]),
    )
    def the_camera(self, age_ns: int | None, unchanged_ns: int) -> None:
        self.inputs["camera_ages_ns"] = {"top": age_ns}
        self.inputs["camera_unchanged_ns"] = {"top": unchanged_ns}

    @rule(name=st.sampled_from(["source", "openings"]))
    def something_is_restarted(self, name: str) -> None:
        self.inputs[name] = self.inputs.get(name, 0) + 1

    @rule()
    def all_is_well_again(self) -> None:
        self.driven = True
        self.inputs.update(
            state_age_ns=0,
            controller_age_ns=0,
            camera_ages_ns={"top": 0},
            camera_unchanged_ns={"top": 0},
        )

    @rule(by=st.lists(st.floats(-1, 1), min_size=JOINTS, max_size=JOINTS))
    def the_arm_is_moved_by_hand(self, by: Sequence[float]) -> None:
        self.place = np.clip(self.place + np.array(by), *REACH)

    @rule()
    def the_arm_loses_its_torque(self) -> None:
        self.driven = False

    @rule(asked=st.lists(events, min_size=1, max_size=3))
    def operators(self, asked: Sequence[Event]) -> None:
        self.events += asked

    @rule()
    def an_operator_does_all_it_takes_to_arm(self) -> None:
        """Wherever everything has got to, a few ticks later the arm can be armed."""
        self.all_is_well_again()
        self.chunks = []
        self.advance([0, 0])
        self.events = [Event.STOP]
        self.advance([0])
        while not self.controller.at_rest:
            self.advance([0])
        self.events = [Event.RESET]
        self.advance([0])
        self.send(0, np.tile(np.where(np.array(KINDS) == "velocity", 0.0, self.place), (CHUNK, 1)))
        self.events = [Event.ARM]
        output = self.advance([0])
        assert output.mode is Mode.ARMED, output.answers

    @rule(skipped=st.lists(st.sampled_from([0, 0, 0, 0, 1, 7]), min_size=1, max_size=40))
    def time_passes(self, skipped: Sequence[int]) -> None:
        self.advance(skipped)

    @rule(
        event=st.sampled_from([Event.HOLD, Event.STOP]),
        to=st.lists(st.floats(-1, 1), min_size=JOINTS, max_size=JOINTS),
    )
    def it_is_moved_away_at_rest(self, event: Event, to: Sequence[float]) -> None:
        """And whoever gives it its torque back finds the command where the arm is."""
        self.events = [event]
        self.advance([0])
        while self.judge.moving:
            self.advance([0])
        self.driven = False
        for _ in range(40):
            self.place = self.place + (np.clip(to, *REACH) - self.place) / 8
            self.advance([0])
        self.advance([0] * max(1, 2 * FOLLOW_NS // self.period_ns))

    @rule(event=st.sampled_from([*POSES]), share=st.floats(0, 1.5), plans=st.booleans())
    def it_is_moved_to_a_pose(self, event: Event, share: float, plans: bool) -> None:
        """As far as there, where nothing else prevents it."""
        self.an_operator_does_all_it_takes_to_arm()
        self.events = [Event.HOLD]
        self.advance([0])
        while self.judge.moving:
            self.advance([0])
        self.send(0, np.nan_to_num(POSES[event])[None].repeat(CHUNK, axis=0))
        self.events = [event]
        output = self.advance([0])
        assert output.mode is Mode.MOVING, output.answers
        assert output.move is not None
        ticks = min(600, round(share * output.move.left_ns / self.period_ns) + 1)
        for _ in range(ticks):
            if plans:
                self.send(0, np.nan_to_num(POSES[event])[None].repeat(CHUNK, axis=0))
            output = self.advance([0])
        if share < 1 and (plans or event is Event.PARK):
            assert output.mode is Mode.MOVING, output.reason

    @rule(suspended_ns=st.sampled_from([10**6, 500_000_000, 3600 * 10**9]))
    def the_computer_sleeps(self, suspended_ns: int) -> None:
        self.inputs["suspended_ns"] = suspended_ns
        self.advance([0])
        del self.inputs["suspended_ns"]

    @rule(
        aims=st.lists(
            st.lists(st.floats(-0.4, 0.4), min_size=JOINTS, max_size=JOINTS), min_size=1, max_size=6
        ),
        back=st.booleans(),
    )
    def the_policy_drives(self, aims: Sequence[Sequence[float]], back: bool) -> None:
        """Somewhere, and with `back` back again within the same chunk, faster than some joints."""
        if self.last_mode is not Mode.ARMED:
            self.an_operator_does_all_it_takes_to_arm()
        share = np.linspace(0, 1, CHUNK)[:, None]
        share = 1 - np.abs(1 - 2 * share) if back else share
        for aim in aims:
            rows = self.command + share * (np.array(aim) * [1, 1, 1, 1, 3])
            rows[:, 4] = (rows[:, 4] + np.pi) % (2 * np.pi) - np.pi
            self.send(10_000_000, rows)
            self.advance([0] * max(1, min(40, 4 * self.policy_ns // self.period_ns)))

    def teardown(self) -> None:
        """Another controller that is told the same says the same, to the last bit."""
        if not hasattr(self, "settings"):
            return
        again = Controller(self.settings)
        for inputs, before in self.recording:
            now = again.tick(inputs)
            same = (before.action, before.rest), (now.action, now.rest)
            one, other = ([None if v is None else v.tobytes() for v in each] for each in same)
            assert one == other
            assert now._replace(action=None, rest=None) == before._replace(action=None, rest=None)

    # What must hold.

    def advance(self, skipped: Sequence[int]) -> Output:
        for missed in skipped:
            self.due_ns += (1 + missed) * self.period_ns
            output = self.tick()
        return output

    def tick(self) -> Output:
        inputs = Inputs(
            due_ns=self.due_ns,
            positions=self.place.copy(),
            chunks=tuple(self.chunks),
            commands=tuple(enumerate(self.events, start=1)),
            **self.inputs,
        )
        for chunk in self.chunks:
            self.judge.took(chunk.actions)
        for event in POSES.keys() & set(self.events):
            self.judge.took(np.nan_to_num(POSES[event])[None])
        asked, self.chunks, self.events = self.events, [], []
        output = self.controller.tick(inputs)
        self.recording.append((inputs, output))
        elapsed_ns = self.due_ns - self.ticked_ns + inputs.suspended_ns
        silent = bool(self.ticked_ns) and elapsed_ns > self.settings.ttl_ns
        self.ticked_ns = self.due_ns
        replaced = self.source != inputs.source
        self.judge.judge(output, inputs.positions, silent=silent, replaced=replaced)
        self.check_modes(output, asked)
        self.check_distance(output)
        if output.action is not None:
            self.command = np.array(output.action)
            if self.driven:
                self.follow(output.action)
        return output

    def follow(self, action: NDArray[np.float64]) -> None:
        """A lag of two thirds of the way per period, and over the end of a turn."""
        way = action - self.place
        way[4] = (way[4] + np.pi) % (2 * np.pi) - np.pi
        way[3] = 0.0  # how far a wheel has turned is nobody's business
        self.place = self.place + 2 / 3 * way

    def check_modes(self, output: Output, asked: Sequence[Event]) -> None:
        mode, before = output.mode, self.last_mode
        stood = bool((self.place == self.seen).all())
        # Several orders may come in one tick: RESET and STOP, or ARM and STOP.
        armed = BEGIN & set(asked) and output.action is not None
        from_idle = before is Mode.IDLE and not armed
        from_idle = from_idle or (Event.RESET in asked and output.action is None)
        self.stopped_idle = mode is Mode.STOP and (from_idle or self.stopped_idle)
        if self.stopped_idle:
            assert output.action is None
        if output.action is None:
            # In IDLE nothing is commanded, nor in a STOP out of it, nor while nobody knows where
            # the arm is: it is not seen, acknowledges nothing, has not moved since the command did,
            # is away again and again, or is another one.
            lost = Flag.STATE_STALE | Flag.CONTROLLER_LOST | Flag.FOLLOWING
            unknown = output.flags & lost
            assert mode not in DRIVEN
            another = self.source != self.inputs.get("source", 0)
            idle = mode is Mode.IDLE or self.stopped_idle
            assert idle or unknown or stood or self.stood or another
        self.source = self.inputs.get("source", 0)
        self.stood, self.seen = stood, self.place.copy()
        if before is Mode.IDLE and mode is not Mode.IDLE:
            assert BEGIN & set(asked) or Event.STOP in asked
        if before in (Mode.FAULT, Mode.STOP) and mode not in (before, Mode.STOP):
            assert Event.RESET in asked
        if mode is Mode.ARMED and before in (Mode.IDLE, Mode.FAULT, Mode.STOP):
            assert Event.ARM in asked
        if mode is Mode.MOVING:
            assert before is Mode.MOVING or POSES.keys() & set(asked)
            assert not output.flags & (Flag.STATE_STALE | Flag.CONTROLLER_LOST)
            assert output.move is not None
        if mode is Mode.ARMED:
            unfit = Flag.STATE_STALE | Flag.CONTROLLER_LOST | Flag.CAMERA_STALE | Flag.CAMERA_FROZEN
            assert not output.flags & (unfit | Flag.NON_FINITE)
            assert output.chunk_age_ns is not None
            assert output.chunk_age_ns <= self.max_age.chunk_ns
        assert len(output.answers) == len(asked)
        assert bool(output.reason) == (mode not in (Mode.IDLE, Mode.ARMED))
        self.last_mode = mode

    def check_distance(self, output: Output) -> None:
        """Driven or at rest, no command is away from the measured arm for longer than follow_ns."""
        stopping = output.mode not in DRIVEN and self.judge.moving
        if output.action is None or output.flags & Flag.STATE_STALE or stopping:
            self.away_since_ns, self.overdue = None, 0
            return
        distance = np.abs(output.action - self.place)
        distance[4] = abs((distance[4] + np.pi) % (2 * np.pi) - np.pi)
        if not (distance > START_DISTANCE)[COMPARED].any():
            self.away_since_ns, self.overdue = None, 0
            return
        if self.away_since_ns is None:
            self.away_since_ns = self.due_ns
        self.overdue += self.due_ns - self.away_since_ns >= FOLLOW_NS
        assert self.overdue <= 2, "the command is away from the arm, and stays there"


Seams.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
test_seams = Seams.TestCase
