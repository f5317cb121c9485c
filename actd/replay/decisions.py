"""Replay the decisions of a recording from its recorded inputs.

The controller is a pure function, so the same settings must give the same commands to the
last bit; a difference is a defect of actd, or another machine's arithmetic. The controller's memory
is known only where it is empty: at the start of the run, or after an entry into IDLE. A recording
that begins in the middle of IDLE is followed from there, and compared once every earlier chunk has
expired and the decisions agree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from actd.control.controller import Controller
from actd.control.settings import ControlSettings
from actd.control.tick import Output
from actd.errors import RecordingError
from actd.flightlog.reader import Flight
from actd.mode import Mode
from actd.replay.recorded_run import RecordedRun

Progress = Callable[[int, int], None]
"""Called now and then with the number of finished ticks and the total."""

_PROGRESS_TICKS = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """One tick that replays differently; `largest` is the largest difference of its commands."""

    tick: int
    recorded: dict[str, Any]
    replayed: dict[str, Any]
    largest: float


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of replaying with the recorded settings.

    `skipped` ticks could not be compared: the controller's memory at them is not known.
    `first_tick` is the first that was compared.
    """

    run: str
    ticks: int
    compared: int
    skipped: int
    first_tick: int
    differing: int
    first_difference: Difference | None

    @property
    def equal(self) -> bool:
        """Whether every compared decision is identical to the last bit."""
        return self.differing == 0


def rerun(
    recording: RecordedRun,
    settings: Sequence[ControlSettings],
    progress: Progress = lambda *_: None,
) -> Iterator[tuple[int, tuple[Output, ...]]]:
    """Index and decisions of every comparable tick, one decision for each of `settings`.

    The first of `settings` are the recorded ones: they show when the memory is known.
    """
    controllers: list[Controller] = []
    known_from_ns = 0
    for index in range(len(recording)):
        if index % _PROGRESS_TICKS == 0:
            progress(index, len(recording))
        inputs = recording.inputs(index)
        follows = recording.follows(index)
        if inputs is None or not follows:
            controllers = []
        if inputs is None:
            continue
        fresh = recording.number(index) == 1 or (follows and recording.entered_idle(index - 1))
        if not controllers or (fresh and known_from_ns):
            keeps = any("gripper" in each.kinds for each in settings)  # over IDLE, a command
            if not fresh and (keeps or not _is_within_idle(recording, index)):
                continue
            controllers = [Controller(each) for each in settings]
            command = recording.command_before(index) if keeps else None
            if command is not None:
                for controller in controllers:
                    controller.remember(command)
            known_from_ns = 0 if fresh else inputs.due_ns + _chunk_ns(settings)
        outputs = tuple(controller.tick(inputs) for controller in controllers)
        if known_from_ns:
            if recording.mode(index) is not Mode.IDLE:
                controllers = []
                continue
            if inputs.due_ns < known_from_ns or not _same(recording.output(index), outputs[0]):
                continue
            known_from_ns = 0
        yield index, outputs
    progress(len(recording), len(recording))


def verify(flight: Flight, progress: Progress = lambda *_: None) -> ReplayResult:
    """Replay with the recorded settings. Raises RecordingError if no tick can be compared."""
    recording = RecordedRun(flight)
    compared = differing = 0
    first_tick: int | None = None
    first: Difference | None = None
    for index, (output,) in rerun(recording, [recording.settings], progress):
        compared += 1
        first_tick = recording.number(index) if first_tick is None else first_tick
        recorded = recording.output(index)
        if not _same(recorded, output):
            differing += 1
            first = first or _difference(recording.number(index), recorded, output)
    if first_tick is None:
        raise no_comparable_tick(flight)
    return ReplayResult(
        run=recording.info.name,
        ticks=len(recording),
        compared=compared,
        skipped=len(recording) - compared,
        first_tick=first_tick,
        differing=differing,
        first_difference=first,
    )


def no_comparable_tick(flight: Flight) -> RecordingError:
    """The error for a recording at no tick of which the controller's memory is known."""
    return RecordingError(
        f"{flight.folder}: none of {len(flight.ticks)} ticks to start from: the start of the run "
        "and every stay in IDLE are gone; raise flight.max_mb to keep more"
    )


def _is_within_idle(recording: RecordedRun, index: int) -> bool:
    """Whether the mode was already IDLE before this tick."""
    return recording.mode(index) is Mode.IDLE and (
        index == 0 or not recording.follows(index) or recording.mode(index - 1) is Mode.IDLE
    )


def _chunk_ns(settings: Sequence[ControlSettings]) -> int:
    chunks = [each.chunk for each in settings]
    return max(round(chunk.chunk_size / chunk.policy_hz * 1e9) for chunk in chunks)


def _same(recorded: Output, output: Output) -> bool:
    return _plain(recorded) == _plain(output) and _bits(recorded) == _bits(output)


def _bits(output: Output) -> bytes | None:
    return None if output.action is None else output.action.tobytes()


def _plain(output: Output) -> tuple[Any, ...]:
    age_ns = -1 if output.chunk_age_ns is None else output.chunk_age_ns
    return output.mode, output.chunk, age_ns, output.n, output.flags, output.move


def _difference(tick: int, recorded: Output, output: Output) -> Difference:
    largest = 0.0
    if recorded.action is not None and output.action is not None:
        largest = float(np.abs(recorded.action - output.action).max())
    return Difference(tick, _in_words(recorded), _in_words(output), largest)


def _in_words(output: Output) -> dict[str, Any]:
    return {
        "mode": output.mode.name,
        "chunk": output.chunk,
        "chunk_age_ns": output.chunk_age_ns,
        "n": output.n,
        "flags": output.flags,
        "action": None if output.action is None else output.action.tolist(),
        "move": None if output.move is None else output.move._asdict(),
    }
