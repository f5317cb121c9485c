"""What other settings would have commanded in a recorded run.

Every tick is decided twice from the same recorded inputs, with the recorded settings and with the
changed ones. The measured positions stay those that the recorded commands led to, so this shows
what the settings do to the same chunks, not where the arm would have gone.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from actd.arrays import Vector
from actd.control.limits import Flag
from actd.control.settings import ControlSettings
from actd.control.tick import Output
from actd.flightlog.reader import Flight
from actd.replay.decisions import Progress, no_comparable_tick, rerun
from actd.replay.recorded_run import RecordedRun


class MotionPeaks:
    """The largest |velocity|, |acceleration| and |jerk| of commands, per joint, (3, joints).

    Per control period, as the limiter counts. A tick without a command starts over.
    """

    def __init__(self, joints: int, period_ns: int) -> None:
        self.largest: Vector = np.zeros((3, joints))
        self._per_s = 1e9 / period_ns
        self._last: list[Vector] = []  # the last command, velocity, acceleration, as far as known

    def add(self, command: Vector | None) -> None:
        """Add the next tick's command."""
        if command is None:
            self._last = []
            return
        values = [command]
        for order, last in enumerate(self._last[:3]):
            values.append((values[-1] - last) * self._per_s)
            np.maximum(self.largest[order], np.abs(values[-1]), out=self.largest[order])
        self._last = values


@dataclass(frozen=True, slots=True)
class Side:
    """One side's ticks per flag and per mode, and the peaks of its motion (3, joints)."""

    flags: dict[str, int]
    modes: dict[str, int]
    motion: Vector


@dataclass(frozen=True, slots=True)
class Change:
    """Both sides; `largest` and `rms` difference of commands, (joints,), where both have one.

    `differing` ticks are those with another command or mode; `reproduced` is false where the
    recorded settings did not give the recorded commands.
    """

    run: str
    joints: tuple[str, ...]
    units: str
    ticks: int
    compared: int
    differing: int
    reproduced: bool
    largest: Vector
    rms: Vector
    before: Side
    after: Side

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        sides = {"before": self.before, "after": self.after}
        return {
            "run": self.run,
            "ticks": self.ticks,
            "compared": self.compared,
            "differing": self.differing,
            "reproduced": self.reproduced,
            "flags": {name: side.flags for name, side in sides.items()},
            "modes": {name: side.modes for name, side in sides.items()},
            "joints": {
                joint: {
                    "max_difference": float(self.largest[j]),
                    "rms_difference": float(self.rms[j]),
                    **{name: _motion_of(side.motion[:, j]) for name, side in sides.items()},
                }
                for j, joint in enumerate(self.joints)
            },
        }


def compare(
    flight: Flight, changed_settings: ControlSettings, progress: Progress = lambda *_: None
) -> Change:
    """Replay a run with other settings. Raises RecordingError if no tick can be compared."""
    recording = RecordedRun(flight)
    joints = len(recording.settings.joints)
    before, after = (_Tally(joints, recording.settings.period_ns) for _ in range(2))
    largest, squares = np.zeros(joints), np.zeros(joints)
    both = differing = compared = 0
    reproduced, last = True, -1
    for index, (recorded, changed) in rerun(
        recording, [recording.settings, changed_settings], progress
    ):
        consecutive = index == last + 1
        last = index
        before.add(recorded, consecutive)
        after.add(changed, consecutive)
        compared += 1
        reproduced &= _equal(recorded.action, recording.output(index).action)
        differing += recorded.mode is not changed.mode or not _equal(
            recorded.action, changed.action
        )
        if recorded.action is not None and changed.action is not None:
            difference = np.abs(recorded.action - changed.action)
            np.maximum(largest, difference, out=largest)
            squares += difference**2
            both += 1
    if not compared:
        raise no_comparable_tick(flight)
    return Change(
        run=recording.info.name,
        joints=recording.settings.joints,
        units=recording.info.units,
        ticks=len(recording),
        compared=compared,
        differing=differing,
        reproduced=reproduced,
        largest=largest,
        rms=np.sqrt(squares / max(1, both)),
        before=before.side(),
        after=after.side(),
    )


class _Tally:
    """A Side in the making."""

    def __init__(self, joints: int, period_ns: int) -> None:
        self._flags: Counter[int] = Counter()
        self._modes: Counter[str] = Counter()
        self._motion = MotionPeaks(joints, period_ns)

    def add(self, output: Output, consecutive: bool) -> None:
        self._flags[output.flags] += 1
        self._modes[output.mode.name] += 1
        if not consecutive:
            self._motion.add(None)
        self._motion.add(output.action)

    def side(self) -> Side:
        flags = {
            flag.name or "": sum(n for bits, n in self._flags.items() if bits & flag)
            for flag in Flag
        }
        return Side(flags, dict(self._modes), self._motion.largest)


def _equal(one: Vector | None, other: Vector | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def _motion_of(values: Vector) -> dict[str, float]:
    names = ("max_velocity", "max_acceleration", "max_jerk")
    return dict(zip(names, values.tolist(), strict=True))
