"""How often each limit would act on motion that is known to be good.

Sources of wanted motion: the chunks of a flight recording where the arm was armed, or the
demonstrations of a LeRobotDataset, brought to the control rate by the planner's own
interpolation. Each stretch is fed to a limiter that starts in step with it, so what fires is
the motion's own doing and not its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.control.chunks import ActionChunk, ChunkBuffer, ChunkSettings
from actd.control.controller import ControlSettings
from actd.control.limiter import JointLimiter
from actd.control.limits import LIMIT_FLAGS, Limits
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

    `fired` is the share of ticks at which each limit acted. `seen` is the largest |position|,
    |velocity| and |acceleration| of the motion. `suggested` are the PERCENTILE of each rate times
    MARGIN, NaN for a joint that never moved, and the range seen widened by POSITION_MARGIN of
    itself.
    """

    source: str
    joints: tuple[str, ...]
    stretches: int
    ticks: int
    fired: Vector
    seen: Vector
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
                    "largest": dict(zip(names, self.seen[:, j].tolist(), strict=True)),
                    "suggested": {
                        "position": [float(suggested.lower[j]), float(suggested.upper[j])],
                        "velocity": _known(suggested.velocity[j]),
                        "acceleration": _known(suggested.acceleration[j]),
                    },
                }
                for j, joint in enumerate(self.joints)
            },
        }


def check_flight(
    flight: Flight, settings: ControlSettings, progress: Progress = lambda *_: None
) -> LimitReport:
    """The limits of `settings` on what the chunks of a recorded run wanted while armed."""
    recording = RecordedRun(flight)
    stretches = list(_wanted(recording, settings, progress))
    if not stretches:
        raise RecordingError(
            f"{flight.folder}: no armed tick in it: record a run in which the policy drives"
        )
    return check(recording.info.name, stretches, settings)


def check_dataset(
    dataset: Dataset, settings: ControlSettings, progress: Progress = lambda *_: None
) -> LimitReport:
    """The limits of `settings` on the demonstrations of a dataset. Raises RecordingError."""
    names, joints = dataset.names("action"), settings.joints
    if not dataset.episodes:
        raise RecordingError(f"{dataset.root}: no episode in it: record one with `actd record`")
    if len(names) != len(joints) or (set(names) == set(joints) and tuple(names) != joints):
        raise RecordingError(
            f"{dataset.root}: action: found {', '.join(names)}, the deployment's robot.joints are "
            f"{', '.join(joints)}: they must be the same joints in the same order"
        )

    def stretches() -> Iterator[Vector]:
        for done, episode in enumerate(dataset.episodes):
            progress(done, len(dataset.episodes))
            yield at_control_rate(dataset.actions(episode), dataset.fps, settings)
        progress(len(dataset.episodes), len(dataset.episodes))

    return check(str(dataset.root), stretches(), settings)


def check(source: str, stretches: Iterable[Vector], settings: ControlSettings) -> LimitReport:
    """The limits on stretches of wanted motion, each (ticks, joints) at the control rate."""
    kept = list(stretches)
    ticks = sum(len(wanted) for wanted in kept)
    lowest = np.min([wanted.min(axis=0) for wanted in kept], axis=0)
    highest = np.max([wanted.max(axis=0) for wanted in kept], axis=0)
    widening = POSITION_MARGIN * (highest - lowest)
    sizes = _rates(kept, settings.period_ns)
    suggested = Limits(
        lowest - widening,
        highest + widening,
        *(MARGIN * np.percentile(size, PERCENTILE, axis=0) for size in sizes),
    )
    return LimitReport(
        source=source,
        joints=settings.joints,
        stretches=len(kept),
        ticks=ticks,
        fired=_fired(kept, settings) / ticks,
        seen=np.array([np.maximum(-lowest, highest), *(size.max(axis=0) for size in sizes)]),
        suggested=_where_moved(suggested),
    )


def at_control_rate(actions: NDArray[np.float32], fps: float, settings: ControlSettings) -> Vector:
    """An episode's recorded actions (rows, joints) as the planner gives them, (ticks, joints)."""
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


def _known(limit: float) -> float | None:
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


def _where_moved(limits: Limits) -> Limits:
    """`limits`, NaN for the rates of a joint that never moved."""
    moved = limits.velocity > 0.0
    rates = (np.where(moved, rate, np.nan) for rate in (limits.velocity, limits.acceleration))
    return Limits(limits.lower, limits.upper, *rates)


def _fired(stretches: Iterable[Vector], settings: ControlSettings) -> Vector:
    """At how many ticks each limit acted, (3, joints)."""
    limits, period_ns = settings.limits, settings.period_ns
    limiter = JointLimiter(limits, period_ns, settings.kinds)
    fired: Vector = np.zeros((len(LIMIT_FLAGS), len(limits.lower)))
    for wanted in stretches:
        limiter.reset(wanted[0])
        if len(wanted) > 1:
            speed = (wanted[1] - wanted[0]) * (1e9 / period_ns)
            speed = np.clip(speed, -limits.velocity, limits.velocity)
            limiter.motion = limiter.motion._replace(velocity=speed)
        fired[0] += (wanted[0] < limits.lower) | (wanted[0] > limits.upper)
        for target in wanted[1:]:
            limiter.step(target)
            fired += limiter.acted
    return fired


def _wanted(
    recording: RecordedRun, settings: ControlSettings, progress: Progress
) -> Iterator[Vector]:
    """What the chunks wanted, a stretch for every time of being armed without a missed slot."""
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
