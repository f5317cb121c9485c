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
from actd.datasets.reader import Dataset
from actd.datasets.stats import vector_stats
from actd.demonstrations import LASTING_S, PERCENTILE, STATISTICS, Demonstrations, Motion
from actd.element_names import element_names
from actd.errors import RecordingError

_KEYS = (paths.ACTION, paths.STATE, paths.ENVIRONMENT)


def measure(dataset: Dataset, source: str) -> Demonstrations:
    """What `dataset` tells; `source` is what people call it."""
    keys = [key for key in _KEYS if key in dataset.features]
    if paths.ACTION not in keys or not dataset.episodes:
        lacking = "episodes" if paths.ACTION in keys else "feature `action`"
        raise RecordingError(f"{dataset.root}: has no {lacking}; give a dataset of demonstrations")
    episodes = [_finite(dataset, episode, keys) for episode in dataset.episodes]
    columns = {key: [episode[key] for episode in episodes] for key in keys}
    actions = columns[paths.ACTION]
    errors = _errors(dataset, actions, columns.get(paths.STATE))
    rates = [_rate(actions, order, dataset.fps) for order in (1, 2, 3)]
    return Demonstrations(
        robot_type=dataset.robot_type,
        names={key: names for key in keys if (names := element_names(dataset.features[key]))},
        statistics={key: _statistics(np.concatenate(parts)) for key, parts in columns.items()},
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
    found = vector_stats(rows)
    return {name: _plain(found[name]) for name in STATISTICS}


def _rate(episodes: Iterable[NDArray[np.float32]], order: int, fps: float) -> tuple[float, ...]:
    """The PERCENTILE of the `order`-th derivative's size, over the rows where it is not 0."""
    sizes = [
        np.abs(np.diff(rows.astype(np.float64), order, axis=0)) * fps**order for rows in episodes
    ]
    return tuple(
        float(np.percentile(moving, PERCENTILE)) if len(moving := column[column > 0]) else 0.0
        for column in np.concatenate(sizes).T
    )


def _errors(
    dataset: Dataset,
    actions: Sequence[NDArray[np.float32]],
    states: Sequence[NDArray[np.float32]] | None,
) -> list[Vector]:
    """Per episode the distance of each row's state from its action, (rows, joints).

    A state's number is a joint's by its name, or by its place where both have as many; else it
    is not known, and the distance 0.
    """
    errors: list[Vector] = [np.zeros(rows.shape) for rows in actions]
    if states is None:
        return errors
    joints, measured = dataset.names(paths.ACTION), dataset.names(paths.STATE)
    if len(joints) == len(measured) and set(joints) != set(measured):
        measured = joints
    for j, joint in enumerate(joints):
        if joint in measured:
            place = measured.index(joint)
            for error, action, state in zip(errors, actions, states, strict=True):
                error[:, j] = np.abs(action[:, j].astype(np.float64) - state[:, place])
    return errors


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
