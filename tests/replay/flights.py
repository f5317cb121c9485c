"""Flight recordings made by a real controller on invented inputs, without a daemon."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from actd.arrays import Vector
from actd.control.chunks import ActionChunk
from actd.control.controller import Controller
from actd.control.settings import ControlSettings
from actd.control.staleness import MaxAge
from actd.control.state import Event
from actd.control.tick import Inputs, Output
from actd.flightlog.format import file_dtype
from actd.flightlog.reader import Flight
from actd.flightlog.writer import FlightLogWriter
from actd.runtime.channels import EVENTS, EVENTS_PER_TICK
from tests.control.rig import settings
from tests.runs import run_json

DIM, CHUNK, POLICY_HZ, PERIOD_NS = 2, 20, 25.0, 10_000_000
CAMERA = "top"


def settings_of(mode: str = "temporal") -> ControlSettings:
    """What the invented run decides with."""
    common = settings(
        joints=DIM,
        hz=1e9 / PERIOD_NS,
        policy_hz=POLICY_HZ,
        mode=mode,
        chunk_size=CHUNK,
        n_action_steps=CHUNK // 2,
        interpolation=("smooth", "linear"),
        latency_ns=(15_000_000, 15_000_000),
        lower=-8.0,
        upper=8.0,
        velocity=3.0,
        acceleration=30.0,
        start_distance=1.0,
        follow_distance=1.0,
        start=[0.3, -0.2],
        park=[1.2, -1.5],
        max_age=MaxAge(
            camera_ns=500_000_000,
            chunk_ns=1_000_000_000,
            controller_ns=500_000_000,
            frozen_ns=1_000_000_000,
            fault_after_ns=500_000_000,
        ),
        ease_in_ns=200_000_000,
    )
    return replace(common, joints=("a", "b"))


@dataclass
class Invented:
    """A run in the making: give it ticks, then take the `flight`."""

    mode: str = "temporal"
    due_ns: int = 1_000_000_000
    plan_every: int = 3
    observed_before_ns: int = 3 * PERIOD_NS
    ticks: list[Any] = field(default_factory=list)
    chunks: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.controller = Controller(settings_of(self.mode))
        self.positions = np.zeros(DIM)
        self.chance = np.random.default_rng(7)
        self._listened = True

    def tick(
        self,
        *events: Event,
        state_age_ns: int = 1_000_000,
        skip: int = 0,
        leader: Vector | None = None,
    ) -> Output:
        """One more tick; `skip` slots are missed before it."""
        self.due_ns += (1 + skip) * PERIOD_NS
        new = self._new_chunks()
        inputs = Inputs(
            due_ns=self.due_ns,
            positions=self.positions.copy(),
            state_age_ns=state_age_ns,
            camera_ages_ns={CAMERA: 5_000_000},
            camera_unchanged_ns={CAMERA: 0},
            controller_age_ns=0,
            chunks=new,
            commands=tuple((9, event) for event in events),
            leader=leader,
            leader_age_ns=None if leader is None else 2_000_000,
        )
        output = self.controller.tick(inputs)
        self._record(inputs, output)
        if output.action is not None:
            self.positions = output.action.copy()
        return output

    def run(self, count: int, **options: Any) -> None:
        for _ in range(count):
            self.tick(**options)

    def _new_chunks(self) -> tuple[ActionChunk, ...]:
        if (len(self.ticks) + 1) % self.plan_every:
            return ()
        observed_ns = self.due_ns - self.observed_before_ns
        times = observed_ns / 1e9 + np.arange(CHUNK)[:, None] / POLICY_HZ
        actions = 0.5 * np.sin(2 * times + [0.0, 1.0]) + self.chance.normal(0, 0.01, (CHUNK, DIM))
        chunk = ActionChunk(len(self.chunks) + 1, observed_ns, actions.astype(np.float32))
        self.chunks.append((chunk.number, 0, observed_ns, 0, 0, 0, 0, chunk.actions))
        return (chunk,)

    def _record(self, inputs: Inputs, output: Output) -> None:
        events, commands = [0] * EVENTS_PER_TICK, [0] * EVENTS_PER_TICK
        for place, (number, event) in enumerate(inputs.commands):
            events[place], commands[place] = EVENTS.index(event), number
        nothing = np.full(DIM, np.nan)
        number = len(self.ticks) + 1
        times = (inputs.due_ns, inputs.due_ns, 0, inputs.due_ns, 0)
        age_ns = -1 if output.chunk_age_ns is None else output.chunk_age_ns
        self.ticks.append(
            (
                *(number, 0, number, *times),
                *(output.mode, output.n, output.flags, output.chunk, age_ns),
                *(len(self.chunks), len(inputs.chunks), events, commands),
                *(inputs.state_age_ns, inputs.controller_age_ns, inputs.source, inputs.rivals),
                *(inputs.openings, inputs.suspended_ns),
                -1 if inputs.leader_age_ns is None else inputs.leader_age_ns,
                *([*inputs.camera_ages_ns.values()], [*inputs.camera_unchanged_ns.values()]),
                nothing if inputs.positions is None else inputs.positions,
                nothing if output.action is None else output.action,
                nothing if inputs.leader is None else inputs.leader,
                *(output.move or (0.0, 0)),
            )
        )

    @property
    def flight(self) -> Flight:
        settings = run_json("invented", self.controller.settings, {CAMERA: (96, 128)})
        layouts = settings["dtypes"]
        ticks = np.array(self.ticks, file_dtype(layouts["ticks"]))
        chunks = np.array(self.chunks, file_dtype(layouts["chunks"]))
        return Flight(Path("invented"), settings, ticks, chunks, ())


def without(flight: Flight, *numbers: int) -> Flight:
    """The same recording with these ticks lost."""
    kept = ~np.isin(flight.ticks["number"], numbers)
    return replace(flight, ticks=flight.ticks[kept])


def eventful(mode: str = "temporal") -> Invented:
    """Idle, armed, a gap, a hold, armed again, a fault, a reset, armed again."""
    run = Invented(mode)
    run.run(60)
    run.tick(Event.ARM)
    run.run(100)
    run.run(40, state_age_ns=300_000_000)
    run.run(30)
    run.tick(skip=7)
    run.run(20)
    run.tick(Event.HOLD)
    run.run(20)
    run.tick(Event.ARM)
    run.run(30)
    run.run(80, state_age_ns=300_000_000)
    run.tick(Event.RESET)
    run.run(50)
    run.tick(Event.ARM)
    run.run(100)
    run.tick(Event.STOP)
    run.run(20)
    return run


def moved() -> Invented:
    """Armed, parked, brought back to be armed, parked again and stopped on the way."""
    run = Invented()
    run.run(60)
    run.tick(Event.ARM)
    run.run(100)
    for event, ticks in ((Event.PARK, 150), (Event.APPROACH, 250), (Event.PARK, 40)):
        run.tick(Event.HOLD)
        run.run(30)
        run.tick(event)
        run.run(ticks)
    run.tick(Event.STOP)
    run.run(20)
    return run


def led() -> Invented:
    """Armed, taken over by a leader, given back, taken over again until the leader is gone."""
    run = Invented()
    run.run(60)
    run.tick(Event.ARM)
    run.run(60)
    for ticks in (80, 40):
        # As exact as a leader is recorded.
        places = run.positions + 0.3 * np.sin(np.arange(ticks)[:, None] / 30.0 + [0.0, 0.5])
        places = places.astype(np.float32).astype(np.float64)
        run.tick(Event.TAKEOVER, leader=places[0])
        for place in places:
            run.tick(leader=place)
        run.tick(Event.ARM, leader=places[-1])
        run.run(30)
        run.tick(Event.TAKEOVER, leader=run.positions.astype(np.float32).astype(np.float64))
        run.run(30)
        run.tick(Event.ARM)
        run.run(40)
    return run


def save(flight: Flight, flights: Path) -> Path:
    """The recording on disk; returns the run's folder."""
    log = FlightLogWriter(flights / "run", flight.settings, 1 << 26)
    log.begin()
    for stream in ("ticks", "chunks"):
        for record in getattr(flight, stream):
            log.append(stream, int(record["number"]), record.tobytes()[12:])
    log.close()
    return log.run
