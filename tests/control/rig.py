"""A controller with a simulated arm behind it: settings, inputs, and bodies that misbehave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from actd.arrays import Vector
from actd.control.chunks import ActionChunk, ChunkSettings
from actd.control.controller import Controller
from actd.control.limits import Limits
from actd.control.settings import ControlSettings
from actd.control.staleness import MaxAge
from actd.control.state import Event
from actd.control.tick import Inputs, Output
from actd.mode import Mode

MS = 1_000_000
_VECTORS = ("turn", "start_distance", "follow_distance", "trained_low", "trained_high")
_POSES = ("start", "park")

ENDS_AN_ORDER: tuple[tuple[dict[str, Any], Mode, str], ...] = (
    ({"state_age_ns": 300 * MS}, Mode.HOLD, "robot state is 300 ms old"),
    ({"controller_age_ns": 400 * MS}, Mode.HOLD, "acknowledged no action for 400 ms"),
    ({"source": 1}, Mode.FAULT, "controller was restarted"),
    ({"rivals": True}, Mode.FAULT, "two programs"),
    ({"late_ns": 500 * MS}, Mode.HOLD, "no command was sent for 520 ms"),
    ({"late_ns": 3000 * MS}, Mode.FAULT, "no command was sent for 3020 ms"),
    ({"commands": ((1, Event.HOLD),)}, Mode.HOLD, "operator: hold"),
    ({"commands": ((1, Event.STOP),)}, Mode.STOP, "operator: stop"),
    ({"commands": ((0, Event.FAULT),)}, Mode.FAULT, "a process of the daemon ended"),
    ({"commands": ((0, Event.HOLD),)}, Mode.HOLD, "the daemon is ending"),
)
"""What ends a move or a takeover: changed inputs of a tick, the mode after it, and its reason."""


def settings(
    joints: int = 2, hz: float = 50.0, policy_hz: float = 50.0, **changes: Any
) -> ControlSettings:
    """Settings of an arm of equal joints; `changes` are of PlanSettings, Limits or the rest.

    Limits are given as a number for all joints or as one for each.
    """

    def each(value: Any) -> Vector:
        return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (joints,)))

    chunk: dict[str, Any] = {
        "mode": "queue",
        "chunk_size": 100,
        "n_action_steps": 100,
        "crossfade_ns": 100 * MS,
    }
    limits: dict[str, Any] = {"lower": -3.14, "upper": 3.14, "velocity": 1.5, "acceleration": 8.0}
    rest: dict[str, Any] = {
        "kinds": ("position",) * joints,
        "ttl_ns": 100 * MS,
        "turn": 0.0,
        "start_distance": 0.5,
        "follow_distance": 0.5,
        "follow_ns": 200 * MS,
        "trained_low": -np.inf,
        "trained_high": np.inf,
        "start": None,
        "park": None,
        "max_age": MaxAge(),
        "ease_in_ns": 0,
    }
    for name, value in changes.items():
        place = chunk if name in ChunkSettings.__dataclass_fields__ else rest
        (limits if name in limits else place)[name] = value
    rest = {
        name: each(value) if name in _VECTORS or (name in _POSES and value is not None) else value
        for name, value in rest.items()
    }
    return ControlSettings(
        joints=tuple(f"j{k}" for k in range(joints)),
        period_ns=round(1e9 / hz),
        chunk=ChunkSettings(policy_hz=policy_hz, action_dim=joints, **chunk),
        limits=Limits(**{name: each(value) for name, value in limits.items()}),
        **rest,
    )


class Rig:
    """One controller tick by tick, with everything fresh unless told otherwise.

    `body` moves the arm: from its position and the command (None: nothing) to where it is next.
    """

    def __init__(
        self,
        settings: ControlSettings,
        positions: Any = 0.0,
        body: Callable[[Vector, Vector | None], Vector] | None = None,
    ) -> None:
        self.settings = settings
        self.controller = Controller(settings)
        self.body = body or (lambda positions, command: positions if command is None else command)
        self.positions: Vector = np.broadcast_to(
            np.asarray(positions, dtype=float), (len(settings.joints),)
        ).copy()
        self.due_ns = 10**9
        self.number = 0
        self.outputs: list[Output] = []
        self.held: dict[str, Any] = {}
        """Inputs that stay as they are until told otherwise."""

    def chunk(self, rows: Any, age_ns: int = 0, usable_ns: int = 10**12) -> ActionChunk:
        """A chunk observed `age_ns` before the next tick; `rows` is brought to the chunk's size."""
        size, joints = self.settings.chunk.chunk_size, len(self.settings.joints)
        rows = np.asarray(rows, dtype=np.float32)
        if rows.ndim < 2:
            rows = np.broadcast_to(rows, (1, joints))
        rows = np.concatenate([rows, np.repeat(rows[-1:], max(0, size - len(rows)), axis=0)])
        self.number += 1
        observed_ns = self.due_ns + self.settings.period_ns - age_ns
        return ActionChunk(self.number, observed_ns, rows[:size], usable_ns)

    def tick(self, *events: Event, late_ns: int = 0, **changes: Any) -> Output:
        """The next tick; `late_ns` more than a period after the last."""
        self.due_ns += self.settings.period_ns + late_ns
        inputs = Inputs(
            due_ns=self.due_ns,
            positions=self.positions.copy(),
            state_age_ns=5 * MS,
            camera_ages_ns={"top": 30 * MS},
            camera_unchanged_ns={"top": 0},
            controller_age_ns=10 * MS,
            commands=tuple((k + 1, event) for k, event in enumerate(events)),
        )
        output = self.controller.tick(inputs._replace(**{**self.held, **changes}))
        self.positions = self.body(self.positions, output.action)
        self.outputs.append(output)
        return output

    def armed(self, rows: Any, **options: Any) -> Rig:
        """Armed, with one chunk whose first row is due now."""
        self.tick(chunks=(self.chunk(rows, **options),))
        output = self.tick(Event.ARM)
        assert output.answers[0].error == "", output.answers
        assert output.mode is Mode.ARMED
        return self

    def run(self, ticks: int, **changes: Any) -> list[Output]:
        """Some ticks that are alike."""
        return [self.tick(**changes) for _ in range(ticks)]

    def commands(self) -> Vector:
        """All commands so far, (n, joints)."""
        return np.array([output.action for output in self.outputs if output.action is not None])


def lagging(seconds: float, period_ns: int) -> Callable[[Vector, Vector | None], Vector]:
    """A body that follows as a first-order lag."""
    share = 1 - np.exp(-period_ns / 1e9 / seconds)

    def move(positions: Vector, command: Vector | None) -> Vector:
        return positions if command is None else positions + share * (command - positions)

    return move


def blocked(positions: Vector, _: Vector | None) -> Vector:
    """A body that nothing moves."""
    return positions


def with_age(settings_: ControlSettings, **changes: int) -> ControlSettings:
    """The same settings with other ages."""
    return replace(settings_, max_age=replace(settings_.max_age, **changes))
