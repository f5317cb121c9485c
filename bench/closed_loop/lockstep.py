"""One attempt in simulated time: computing takes none of it, latency is injected.

Everything happens on a grid of 10 ms. An inference begins at an observation, and its chunk is there
`delay_ms` later. The daemon's side is its own `Controller` with the limits and the rates of
configs/demo.yaml: planner, time scaling, easing in, limiter. It has inferred before time 0, as the
daemon does in IDLE, and is armed then, in the middle of an inference. What it lacks is measured
elsewhere: clocks, sockets, cameras, processes. LeRobot's side is its own `select_action` in the
shape of its record loop, which waits for the policy and sends what comes out to the arm as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.chunks import ActionChunk
from actd.control.controller import Controller
from actd.control.settings import ControlSettings
from actd.control.state import Event
from actd.control.tick import Inputs
from actd.engine.base import Engine, Observation
from actd.mode import Mode
from actd.sim.aloha import GRIPPERS, JOINTS, AlohaSim
from actd.sim.referee import Referee
from actd.sim.scene import BAR
from bench.closed_loop.cells import SHIFT_MS
from examples.aloha.evaluate import Places

MS = 1_000_000
GRID_NS = 10 * MS
TICK_NS = 20 * MS
ROW_NS = round(1e9 / BAR.hz)
ATTEMPT_NS = 10_000 * MS
"""As long as the demo's operator waits; a demonstration takes a third of it."""
_START_NS = 2_000 * MS  # time 0 on the controller's clock; none begins at zero
_FRESH_NS = 5 * MS
_ARMS = [number for number, name in enumerate(JOINTS) if name not in GRIPPERS]

Look = Callable[[], Observation]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one place.

    seconds: until the task was done, None: it was not. step_rad: the largest change of a joint's
    command within 20 ms; jerk: root mean square over the measured motion, rad/s^3; grippers count
    in neither. inferences: how many were begun. reason: why the daemon gave up, "": it did not.
    """

    place: int
    seconds: float | None
    step_rad: float
    jerk: float
    inferences: int
    reason: str = ""


class Driver(Protocol):
    """What tells the arms where to be."""

    inferences: int
    reason: str

    def begin(self, positions: Vector, look: Look) -> None:
        """Time 0 of a new attempt is next; the arms are at rest at `positions` (14,)."""

    def targets(self, now_ns: int, positions: Vector, look: Look) -> Vector | None:
        """Of the joints (14,) from `now_ns` on; None: none yet. `look` makes an observation."""


class LeRobotPolicy(Protocol):
    """LeRobot's policy behind its own `select_action`."""

    def reset(self) -> None:
        """Forget the chunks."""

    @property
    def is_due(self) -> bool:
        """Whether the next action takes an inference."""

    def select_action(self, observation: Observation | None) -> Vector:
        """The next action (14,); an observation is needed where one is due."""


class Daemon:
    """actd: an inference as soon as the former has ended, at most one per row; ticks at 50 Hz."""

    def __init__(self, engine: Engine, settings: ControlSettings, delay_ms: int) -> None:
        if settings.period_ns != TICK_NS:
            raise ValueError(f"period_ns: {settings.period_ns}; the grid is for {TICK_NS}")
        self._engine = engine
        self._settings = settings
        self._delay_ns = delay_ms * MS
        # As runtime.inference measures it when it warms up.
        self._usable_ns = max(300 * MS, 4 * self._delay_ns + 100 * MS)

    def begin(self, positions: Vector, look: Look) -> None:
        self._controller = Controller(self._settings)
        self._computed: ActionChunk | None = None
        self._chunks: tuple[ActionChunk, ...] = ()
        self._number = 0
        self._next_ns = first_inference_ns(self._delay_ns)
        self._targets: Vector | None = None
        self._is_armed = False
        self.inferences = 0
        self.reason = ""
        for now_ns in range(self._next_ns, 0, GRID_NS):
            self.targets(now_ns, positions, look)

    def targets(self, now_ns: int, positions: Vector, look: Look) -> Vector | None:
        self._deliver(now_ns)
        if now_ns >= self._next_ns:
            self._number += 1
            self.inferences += now_ns >= 0
            self._next_ns = next_inference_ns(now_ns, self._delay_ns)
            self._computed = ActionChunk(
                self._number, _START_NS + now_ns, self._engine.infer(look()), self._usable_ns
            )
            self._deliver(now_ns)
        if now_ns % TICK_NS == 0 and not self.reason:
            self._tick(now_ns, positions)
        return self._targets

    def _deliver(self, now_ns: int) -> None:
        chunk = self._computed
        if chunk is not None and now_ns >= chunk.t_observation_ns - _START_NS + self._delay_ns:
            self._chunks, self._computed = (*self._chunks, chunk), None

    def _tick(self, now_ns: int, positions: Vector) -> None:
        chunks, self._chunks = self._chunks, ()
        output = self._controller.tick(
            Inputs(
                due_ns=_START_NS + now_ns,
                positions=positions,
                state_age_ns=_FRESH_NS,
                camera_ages_ns={},
                camera_unchanged_ns={},
                controller_age_ns=_FRESH_NS,
                chunks=chunks,
                commands=() if self._is_armed or now_ns < 0 else ((1, Event.ARM),),
            )
        )
        self._is_armed = self._is_armed or output.mode is Mode.ARMED
        if output.action is not None:
            self._targets = output.action
        if output.mode in (Mode.FAULT, Mode.STOP):
            self.reason = output.reason


class RecordLoop:
    """LeRobot: 25 times a second the next action; it waits for the policy when one is due."""

    def __init__(self, policy: LeRobotPolicy, delay_ms: int) -> None:
        self._policy = policy
        self._delay_ns = delay_ms * MS
        self.inferences = 0
        self.reason = ""

    def begin(self, positions: Vector, look: Look) -> None:
        self._policy.reset()
        self._iteration = Iteration(0, 0)
        self._action: Vector | None = None
        self._targets: Vector | None = None
        self.inferences = 0

    def targets(self, now_ns: int, positions: Vector, look: Look) -> Vector | None:
        self._send(now_ns)
        if now_ns >= self._iteration.next_ns:
            infers = self._policy.is_due
            self.inferences += infers
            self._action = self._policy.select_action(look() if infers else None)
            self._iteration = iteration(now_ns, self._delay_ns if infers else 0)
            self._send(now_ns)
        return self._targets

    def _send(self, now_ns: int) -> None:
        if now_ns >= self._iteration.sent_ns:
            self._targets = self._action


class Iteration(NamedTuple):
    """Of LeRobot's loop: when its action is sent, and when the next one begins."""

    sent_ns: int
    next_ns: int


def iteration(start_ns: int, spent_ns: int) -> Iteration:
    """One that computes for `spent_ns`, then sends, then sleeps for what is left of its period."""
    sent_ns = start_ns + spent_ns
    return Iteration(sent_ns, max(sent_ns, start_ns + ROW_NS))


def next_inference_ns(start_ns: int, delay_ns: int) -> int:
    """When the daemon begins the next inference: the former has ended, and a row has passed."""
    return start_ns + max(delay_ns, ROW_NS)


def first_inference_ns(delay_ns: int) -> int:
    """When the daemon begins to look, before it is armed: time 0 is in the middle of the third."""
    return -round(2.5 * next_inference_ns(0, delay_ns) / GRID_NS) * GRID_NS


class Stage:
    """The simulated arms, where every attempt takes place."""

    def __init__(self, sim: AlohaSim) -> None:
        self._sim = sim
        self._places = Places(sim)

    def attempt(
        self, driver: Driver, place: int, shift_cm: int = 0, shift_ms: int = SHIFT_MS
    ) -> Attempt:
        """Drive the arms at `place` until the task is done, or for ATTEMPT_NS.

        The object is moved by `shift_cm` after `shift_ms`.
        """
        sim = self._sim
        self._places.lay(place)
        driver.begin(np.array(list(sim.state().values())), self._observe)
        referee = Referee()
        commands: list[Vector] = []
        measured: list[Vector] = []
        seconds: float | None = None
        for now_ns in range(0, ATTEMPT_NS, GRID_NS):
            if now_ns == shift_ms * MS and shift_cm:
                sim.lay(*BAR.shifted(sim.place(), shift_cm / 100))
            positions = np.array(list(sim.state().values()))
            targets = driver.targets(now_ns, positions, self._observe)
            if now_ns % TICK_NS == 0:
                measured.append(positions)
                commands.append(measured[0] if targets is None else targets)
                referee.see(Mode.ARMED, now_ns / 1e9, is_done=sim.is_done, is_home=False)
                if referee.score.successes:
                    seconds = now_ns / 1e9
                if seconds is not None or driver.reason:
                    break
            aimed: Mapping[str, float] = (
                {} if targets is None else dict(zip(JOINTS, targets.tolist(), strict=True))
            )
            sim.step(aimed, GRID_NS / 1e9)
        return Attempt(
            place,
            seconds,
            round(largest_step(np.array(commands)), 4),
            round(rms_jerk(np.array(measured)), 1),
            driver.inferences,
            driver.reason,
        )

    def _observe(self) -> Observation:
        return {"observation.state": self._places.state(), **self._places.look()}


def largest_step(commands: NDArray[np.float64]) -> float:
    """Of any arm joint from one tick to the next, rad; commands (ticks, 14)."""
    steps = np.abs(np.diff(commands[:, _ARMS], axis=0))
    return float(steps.max(initial=0.0))


def rms_jerk(positions: NDArray[Any]) -> float:
    """Root mean square of the third difference of the arm joints, rad/s^3; (ticks, 14)."""
    thirds = np.diff(positions[:, _ARMS], n=3, axis=0) / (TICK_NS / 1e9) ** 3
    return float(np.sqrt(np.mean(thirds**2))) if thirds.size else 0.0
