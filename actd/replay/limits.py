"""How often each limit would act on motion that is known to be good.

The motion is either the chunks of a flight recording while the arm was armed, or the
demonstrations of a LeRobotDataset, resampled at the control rate by the planner's own
interpolation. The limiter starts each stretch at its position and velocity, so a limit acts
because of the motion itself and not of how it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings
from actd.control.limiter import JointLimiter
from actd.control.limits import LIMIT_FLAGS, Limits
from actd.control.settings import ControlSettings
from actd.datasets import Dataset
from actd.errors import RecordingError
from actd.flightlog.reader import Flight
from actd.mode import Mode
from actd.replay.decisions import Progress
from actd.replay.recorded_run import RecordedRun

PERCENTILE = 99.9
MARGIN = 1.2
POSITION_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class LimitReport:
    """Per joint, each (joints,) or (3, joints) in the order of LIMIT_FLAGS.

    `fired` is the share of ticks at which each limit acted. `largest` is the largest |position|,
    |velocity| and |acceleration| of the motion. `suggested` are the PERCENTILE of each rate times
    MARGIN, NaN for a joint that never moved, and the range of positions widened by POSITION_MARGIN
    of itself.
    """

    source: str
    joints: tuple[str, ...]
    stretches: int
    ticks: int
    fired: Vector
    largest: Vector
    suggested: Limits

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        names = [flag.name.lower() for flag in LIMIT_FLAGS if flag.name]
        suggested = self.suggested
        return {
            "source": self.source,
            "stretches": self.stretches,
            "ticks": self.ticks,
            "joints": {
                joint: {
                    "fired": dict(zip(names, self.fired[:, j].tolist(), strict=True)),
                    "largest": dict(zip(names, self.largest[:, j].tolist(), strict=True)),
                    "suggested": {
                        "position": [float(suggested.lower[j]), float(suggested.upper[j])],
                        "velocity": _finite(suggested.velocity[j]),
                        "acceleration": _finite(suggested.acceleration[j]),
                    },
                }
                for j, joint in enumerate(self.joints)
            },
        }


def check_flight(
    flight: Flight, settings: ControlSettings, progress: Progress = lambda *_: None
) -> LimitReport:
    """Apply the limits of `settings` to the chunks that a recorded run followed while armed."""
    recording = RecordedRun(flight)
    stretches = list(_planned_motion(recording, settings, progress))
    if not stretches:
        raise RecordingError(
            f"{flight.folder}: no armed tick; record a run in which the policy moves the arm"
        )
    return check(recording.info.name, stretches, settings)


def check_dataset(
    dataset: Dataset,
    settings: ControlSettings,
    progress: Progress = lambda *_: None,
    most_episodes: int | None = None,
) -> LimitReport:
    """Apply the limits of `settings` to the demonstrations of a dataset. Raises RecordingError.

    Of more than `most_episodes` so many are taken, evenly spread.
    """
    names, joints = dataset.names("action"), settings.joints
    if not dataset.episodes:
        raise RecordingError(f"{dataset.root}: no episode; record one with `actd record`")
    if len(names) != len(joints) or (set(names) == set(joints) and tuple(names) != joints):
        raise RecordingError(
            f"{dataset.root}: action: found {', '.join(names)}, the deployment's robot.joints are "
            f"{', '.join(joints)}: they must be the same joints in the same order"
        )

    count = min(len(dataset.episodes), most_episodes or len(dataset.episodes))

    def stretches() -> Iterator[Vector]:
        for number in range(count):
            progress(number, count)
            episode = dataset.episodes[number * len(dataset.episodes) // count]
            yield at_control_rate(dataset.actions(episode), dataset.fps, settings)
        progress(count, count)

    return check(str(dataset.root), stretches(), settings)


def check(source: str, stretches: Iterable[Vector], settings: ControlSettings) -> LimitReport:
    """Apply limits to stretches of motion, each (ticks, joints) at the control rate."""
    motions = list(stretches)
    ticks = sum(len(targets) for targets in motions)
    lowest = np.min([targets.min(axis=0) for targets in motions], axis=0)
    highest = np.max([targets.max(axis=0) for targets in motions], axis=0)
    widening = POSITION_MARGIN * (highest - lowest)
    sizes = _rates(motions, settings.period_ns)
    suggested = Limits(
        lowest - widening,
        highest + widening,
        *(MARGIN * np.percentile(size, PERCENTILE, axis=0) for size in sizes),
    )
    return LimitReport(
        source=source,
        joints=settings.joints,
        stretches=len(motions),
        ticks=ticks,
        fired=_count_acting(motions, settings) / ticks,
        largest=np.array([np.maximum(-lowest, highest), *(size.max(axis=0) for size in sizes)]),
        suggested=_without_still_joints(suggested),
    )


def at_control_rate(actions: NDArray[np.float32], fps: float, settings: ControlSettings) -> Vector:
    """An episode's actions (rows, joints) as the planner interpolates them, (ticks, joints)."""
    rows = len(actions)
    whole = ChunkSettings(
        mode="queue",
        policy_hz=fps,
        chunk_size=rows,
        action_dim=actions.shape[1],
        n_action_steps=rows,
        interpolation=settings.chunk.interpolation,
    )
    buffer = ChunkBuffer(whole)
    buffer.add(ActionChunk(1, 0, actions))
    ticks = int((rows - 1) / fps * 1e9) // settings.period_ns + 1
    samples = [buffer.at(tick * settings.period_ns) for tick in range(ticks)]
    return np.array([sample.action for sample in samples if sample is not None])


def _finite(limit: float) -> float | None:
    return float(limit) if np.isfinite(limit) else None


def _rates(stretches: Sequence[Vector], period_ns: int) -> list[Vector]:
    """|velocity| and |acceleration| of all stretches, each (n, joints)."""
    sizes = []
    rates = list(stretches)
    for _ in range(2):
        rates = [np.diff(rate, axis=0) * (1e9 / period_ns) for rate in rates]
        none = np.zeros((1, stretches[0].shape[1]))
        sizes.append(np.abs(np.concatenate([none, *rates])))
    return sizes


def _without_still_joints(limits: Limits) -> Limits:
    """`limits`, NaN for the rates of a joint that never moved."""
    moving = limits.velocity > 0.0
    rates = (np.where(moving, rate, np.nan) for rate in (limits.velocity, limits.acceleration))
    return Limits(limits.lower, limits.upper, *rates)


def _count_acting(stretches: Iterable[Vector], settings: ControlSettings) -> Vector:
    """The number of ticks at which each limit acted, (3, joints)."""
    limits, period_ns = settings.limits, settings.period_ns
    limiter = JointLimiter(limits, period_ns, settings.kinds)
    counts: Vector = np.zeros((len(LIMIT_FLAGS), len(limits.lower)))
    for targets in stretches:
        limiter.reset(targets[0])
        if len(targets) > 1:
            speed = (targets[1] - targets[0]) * (1e9 / period_ns)
            speed = np.clip(speed, -limits.velocity, limits.velocity)
            limiter.motion = limiter.motion._replace(velocity=speed)
        counts[0] += (targets[0] < limits.lower) | (targets[0] > limits.upper)
        for target in targets[1:]:
            limiter.step(target)
            counts += limiter.acted
    return counts


def _planned_motion(
    recording: RecordedRun, settings: ControlSettings, progress: Progress
) -> Iterator[Vector]:
    """The motion planned by the chunks: a stretch for each time armed without a missed tick."""
    buffer = ChunkBuffer(settings.chunk)
    stretch: list[Vector] = []
    last_due_ns = 0
    for index in range(len(recording)):
        if index % 500 == 0:
            progress(index, len(recording))
        for chunk in recording.chunks(index) or ():
            buffer.add(chunk)
        due_ns = recording.due_ns(index)
        sample = buffer.at(due_ns)
        if recording.entered_idle(index):
            buffer.clear()
        armed = sample is not None and recording.mode(index) is Mode.ARMED
        whole = recording.follows(index) and due_ns - last_due_ns < 1.5 * settings.period_ns
        if stretch and not (armed and whole):
            yield np.array(stretch)
            stretch = []
        if sample is not None and armed:
            stretch.append(sample.action)
        last_due_ns = due_ns
    if stretch:
        yield np.array(stretch)
    progress(len(recording), len(recording))
