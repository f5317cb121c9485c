"""A flight recording as the controller's inputs and outputs at each tick.

Reads a Flight; raises RecordingError where its run.json is not that of a daemon's run.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actd.arrays import Vector
from actd.config import check_policy, load
from actd.control.chunks import ActionChunk
from actd.control.settings import ControlSettings
from actd.control.tick import Inputs, Output, Progress
from actd.errors import ConfigError
from actd.flightlog.reader import Flight
from actd.mode import Mode
from actd.runtime.run_info import run_info
from actd.runtime.settings import control_settings


class RecordedRun:
    """The ticks of a recording by index, oldest first."""

    def __init__(self, flight: Flight) -> None:
        self.info = run_info(flight)
        self.settings = self.info.control
        ticks, chunks = flight.ticks, flight.chunks
        self._fields = {name: ticks[name] for name in ticks.dtype.names or ()}
        self._numbers = ticks["number"]
        self._cameras = tuple(self.info.cameras)
        self._chunks = chunks
        self._chunk_index = {int(number): index for index, number in enumerate(chunks["number"])}

    def __len__(self) -> int:
        """The number of recorded ticks."""
        return len(self._numbers)

    def number(self, index: int) -> int:
        """The number of the tick in its run, from 1."""
        return int(self._numbers[index])

    def due_ns(self, index: int) -> int:
        """The time at which the tick was due."""
        return int(self._fields["due_ns"][index])

    def mode(self, index: int) -> Mode:
        """The mode after this tick."""
        return Mode(int(self._fields["mode"][index]))

    def follows(self, index: int) -> bool:
        """Whether the tick before this one was recorded too."""
        return index > 0 and self.number(index) == self.number(index - 1) + 1

    def entered_idle(self, index: int) -> bool:
        """Whether this tick went from another mode to IDLE."""
        return (
            self.follows(index)
            and self.mode(index) is Mode.IDLE
            and self.mode(index - 1) is not Mode.IDLE
        )

    def command_before(self, index: int) -> Vector | None:
        """The command of the tick before the one that entered IDLE, None where there is none."""
        action: Vector = self._fields["action"][max(0, index - 2)]
        return None if index < 2 or np.isnan(action).any() else action.copy()

    def chunks(self, index: int) -> tuple[ActionChunk, ...] | None:
        """The chunks that were new at this tick, oldest first; None if one was not recorded."""
        mask = int(self._fields["chunks_taken"][index])
        newest = int(self._fields["newest_chunk"][index])
        numbers = [newest - k for k in reversed(range(mask.bit_length())) if mask >> k & 1]
        if any(number not in self._chunk_index for number in numbers):
            return None
        records = [(number, self._chunks[self._chunk_index[number]]) for number in numbers]
        return tuple(
            ActionChunk(n, int(r["t_observation_ns"]), r["actions"].copy(), int(r["usable_ns"]))
            for n, r in records
        )

    def inputs(self, index: int) -> Inputs | None:
        """The controller's inputs; None if one of their chunks was not recorded."""
        chunks = self.chunks(index)
        if chunks is None:
            return None
        fields = self._fields
        positions = fields["positions"][index].copy()
        leader = fields["leader"][index].astype(np.float64)
        ages = fields["camera_ages_ns"][index].tolist()
        unchanged = fields["camera_unchanged_ns"][index].tolist()
        commands = zip(fields["commands"][index].tolist(), fields["events"][index], strict=True)
        events = [(number, self.info.events[event]) for number, event in commands]
        return Inputs(
            due_ns=self.due_ns(index),
            positions=None if np.isnan(positions).any() else positions,
            state_age_ns=_age(int(fields["state_age_ns"][index])),
            camera_ages_ns=dict(zip(self._cameras, map(_age, ages), strict=True)),
            camera_unchanged_ns=dict(zip(self._cameras, unchanged, strict=True)),
            controller_age_ns=_age(int(fields["controller_age_ns"][index])),
            source=int(fields["source"][index]),
            rivals=bool(fields["rivals"][index]),
            openings=int(fields["openings"][index]),
            suspended_ns=int(fields["suspended_ns"][index]),
            chunks=chunks,
            leader=None if np.isnan(leader).any() else leader,
            leader_age_ns=_age(int(fields["leader_age_ns"][index])),
            commands=tuple([(number, event) for number, event in events if event is not None]),
        )

    def output(self, index: int) -> Output:
        """The controller's decision; its answers to operators are not recorded."""
        fields = self._fields
        action = fields["action"][index].copy()
        moves = self.mode(index) is Mode.MOVING
        move = Progress(float(fields["move_share"][index]), int(fields["move_left_ns"][index]))
        return Output(
            mode=self.mode(index),
            action=None if np.isnan(action).any() else action,
            rest=None,
            rest_ns=0,
            chunk=int(fields["chunk"][index]),
            chunk_age_ns=_age(int(fields["chunk_age_ns"][index])),
            n=int(fields["n"][index]),
            flags=int(fields["flags"][index]),
            reason="",
            answers=(),
            move=move if moves else None,
        )


def other_settings(flight: Flight, path: Path) -> ControlSettings:
    """The control settings that a deployment file gives for the recording's policy.

    Raises ConfigError if the file is wrong or made for another arm, policy or rate.
    """
    config = load(path)
    info = run_info(flight)
    check_policy(config, info.policy, str(path))
    recorded = info.control
    if tuple(config.robot.joints) != recorded.joints:
        raise ConfigError(
            f"{path}: robot.joints: found {', '.join(config.robot.joints)}, the recording has "
            f"{', '.join(recorded.joints)}; replay it with a file for the same arm"
        )
    settings = control_settings(config, info.policy)
    if settings.period_ns != recorded.period_ns:
        raise ConfigError(
            f"{path}: control.rate_hz: found {config.control.rate_hz:g}, the recording was made "
            f"at {1e9 / recorded.period_ns:g} Hz: a recording replays only at its own rate"
        )
    return settings


def _age(age_ns: int) -> int | None:
    return None if age_ns < 0 else age_ns
