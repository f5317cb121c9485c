"""Measures how the demonstrations of a dataset move.

Reads every row's numbers and no image. Raises RecordingError for a dataset without actions, or
with numbers that are not finite.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.arrays import Vector
from actd.datasets import paths
from actd.datasets.image_statistics import image_statistics
from actd.datasets.reader import Dataset
from actd.datasets.stats import vector_stats
from actd.demonstrations import LASTING_S, PERCENTILE, STATISTICS, Demonstrations, Motion
from actd.element_names import element_names
from actd.errors import RecordingError

_KEYS = (paths.ACTION, paths.STATE, paths.ENVIRONMENT)
# What float32 can tell apart; how many different steps are enough to see that they are of one
# size; how far from whole numbers of it they are on average, where 0.25 is chance.
_GRAIN = 1e-6
_LEAST_STEPS = 50
_WHOLE = 0.05


def measure(dataset: Dataset, source: str) -> Demonstrations:
    """What `dataset` tells; `source` is what people call it."""
    keys = [key for key in _KEYS if key in dataset.features]
    if paths.ACTION not in keys or not dataset.episodes:
        lacking = "episodes" if paths.ACTION in keys else "feature `action`"
        raise RecordingError(f"{dataset.root}: has no {lacking}; give a dataset of demonstrations")
    episodes = [_finite(dataset, episode, keys) for episode in dataset.episodes]
    columns = {key: [episode[key] for episode in episodes] for key in keys}
    actions = columns[paths.ACTION]
    measured = _measured(dataset, columns.get(paths.STATE, actions))
    errors = [np.nan_to_num(np.abs(a - m)) for a, m in zip(actions, measured, strict=True)]
    rates = [_rate(actions, order, dataset.fps) for order in (1, 2, 3)]
    return Demonstrations(
        robot_type=dataset.robot_type,
        names={key: names for key in keys if (names := element_names(dataset.features[key]))},
        statistics={
            **{key: _statistics(np.concatenate(parts)) for key, parts in columns.items()},
            **image_statistics(dataset.root, dataset.cameras),
        },
        motion=Motion(
            source=source,
            episodes=len(actions),
            rows=sum(map(len, actions)),
            fps=dataset.fps,
            velocity=rates[0],
            acceleration=rates[1],
            jerk=rates[2],
            start=_plain(np.median([rows[0] for rows in actions], axis=0)),
            start_error=_plain(np.median([error[0] for error in errors], axis=0)),
            follow_error=_lasting(errors, max(1, round(LASTING_S * dataset.fps))),
            resolution=tuple(map(_resolution, np.concatenate(measured).T)),
        ),
    )


def _finite(dataset: Dataset, episode: int, keys: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    columns = dataset.columns(episode, keys)
    for key, values in columns.items():
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
            raise RecordingError(
                f"{dataset.root}: {key}: a value that is not finite in row {row} of episode "
                f"{episode}; repair the recording or leave the episode out"
            )
    return columns


def _statistics(rows: NDArray[np.float32]) -> dict[str, tuple[float, ...]]:
    stats = vector_stats(rows)
    return {name: _plain(stats[name]) for name in STATISTICS}


def _rate(episodes: Iterable[NDArray[np.float32]], order: int, fps: float) -> tuple[float, ...]:
    """The PERCENTILE of the `order`-th derivative's size, over the rows where it is not 0."""
    sizes = [
        np.abs(np.diff(rows.astype(np.float64), order, axis=0)) * fps**order for rows in episodes
    ]
    return tuple(
        float(np.percentile(moving, PERCENTILE)) if len(moving := column[column > 0]) else 0.0
        for column in np.concatenate(sizes).T
    )


def _measured(dataset: Dataset, states: Sequence[NDArray[np.float32]]) -> list[Vector]:
    """Per episode the measured value of each joint, (rows, joints), NaN where it is not known.

    A state's number is a joint's by its name, or by its place where both have as many.
    """
    joints = dataset.names(paths.ACTION)
    names = dataset.names(paths.STATE) if paths.STATE in dataset.features else []
    if len(joints) == len(names) and set(joints) != set(names):
        names = joints
    measured: list[Vector] = [np.full((len(rows), len(joints)), np.nan) for rows in states]
    for j, joint in enumerate(joints):
        if joint in names:
            for values, rows in zip(measured, states, strict=True):
                values[:, j] = rows[:, names.index(joint)]
    return measured


def _resolution(values: Vector) -> float:
    """The step that all differences of `values` are multiples of, 0 where there is none."""
    if not np.isfinite(values).all():
        return 0.0
    grain = _GRAIN * float(np.abs(values).max(initial=1e-9))
    steps = np.diff(np.unique(np.rint(values / grain))) * grain
    if len(steps) < _LEAST_STEPS:
        return 0.0
    step = float(np.median(steps[steps < 1.5 * steps.min()]))
    counts = steps / step
    return step if float(np.abs(counts - np.rint(counts)).mean()) < _WHOLE else 0.0


def _lasting(errors: Iterable[Vector], rows: int) -> tuple[float, ...]:
    """The largest value that `rows` rows in a row all reach, per joint."""
    largest = [
        np.lib.stride_tricks.sliding_window_view(error, rows, axis=0).min(axis=-1).max(axis=0)
        for error in errors
        if len(error) >= rows
    ]
    if not largest:
        return (0.0,) * int(next(iter(errors)).shape[1])
    return _plain(np.max(largest, axis=0))


def _plain(values: NDArray[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
