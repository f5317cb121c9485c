"""Frames of a LeRobotDataset folder, v2.1 or v3.0, as `actd record` writes them too.

Calibration takes frames spread evenly over the episodes; a verdict takes a few runs of
consecutive frames from episodes that do not calibrate, where there are two or more. Only the
images asked for are decoded. Raises EngineError where the dataset does not fit the policy,
RecordingError where it is damaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from actd.datasets import Dataset, open_dataset
from actd.datasets.paths import INFO
from actd.engine.base import Observation
from actd.engine.observations import check
from actd.errors import EngineError
from actd.export.frames import Frames, evenly
from actd.policy.spec import PolicySpec

_RUNS = 8
_RUN_FRAMES = 12


def recognised(path: Path) -> bool:
    """Whether a LeRobotDataset lies here."""
    return (path / INFO).is_file()


def calibration(path: Path, spec: PolicySpec, count: int) -> Frames:
    """At most `count` frames, evenly spread over the episodes that do not judge."""
    dataset = _open(path, spec)
    episodes, _ = _split(dataset.episodes)
    places = [(episode, row) for episode in episodes for row in range(dataset.length(episode))]
    wanted: dict[int, list[int]] = {}
    for i in evenly(len(places), count):
        wanted.setdefault(places[i][0], []).append(places[i][1])
    observations = [
        observation
        for episode, rows in wanted.items()
        for observation in _observations(dataset, episode, rows, spec)
    ]
    source = f"{path} ({_counted(wanted, 'episode')})"
    return Frames(observations, (), source, _notes(dataset, spec))


def validation(path: Path, spec: PolicySpec, count: int) -> Frames:
    """At most `count` frames in a few runs, from episodes that do not calibrate if possible."""
    dataset = _open(path, spec)
    calibrating, judging = _split(dataset.episodes)
    recorded = sum(dataset.length(episode) for episode in judging)
    runs = max(1, min(_RUNS, count // _RUN_FRAMES, recorded // _RUN_FRAMES))
    observations: list[Observation] = []
    bounds: list[tuple[int, int]] = []
    for episode, rows in _runs(dataset, judging, runs, _RUN_FRAMES if runs > 1 else count):
        start = len(observations)
        observations += _observations(dataset, episode, rows, spec)
        bounds.append((start, len(observations)))
    used = "which also calibrate" if judging == calibrating else "which do not calibrate"
    source = f"{path} ({_counted(bounds, 'run')} from {_counted(judging, 'episode')}, {used})"
    return Frames(observations, tuple(bounds), source, _notes(dataset, spec))


def _open(path: Path, spec: PolicySpec) -> Dataset:
    """The dataset, once it is sure to have what the policy takes."""
    dataset = open_dataset(path)
    if not dataset.episodes:
        raise EngineError(f"{path}: has no episode; give a dataset with recorded episodes")
    held = [
        key
        for key, feature in dataset.features.items()
        if key in dataset.cameras or feature["dtype"] in ("float32", "float64")
    ]
    if lacking := [f.key for f in spec.inputs if f.key not in held]:
        raise EngineError(
            f"{path}: {lacking[0]}: the policy takes {', '.join(f.key for f in spec.inputs)}, "
            f"the dataset holds {', '.join(held)}; give the dataset it was trained on"
        )
    return dataset


def _split(episodes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Episodes that calibrate and episodes that judge; a single one does both."""
    if len(episodes) < 2:
        return list(episodes), list(episodes)
    held = min(_RUNS, len(episodes) // 2)
    judging = [episodes[(2 * i + 1) * len(episodes) // (2 * held)] for i in range(held)]
    return [episode for episode in episodes if episode not in judging], judging


def _runs(
    dataset: Dataset, episodes: Sequence[int], runs: int, frames: int
) -> Iterator[tuple[int, range]]:
    """Episode and rows of each run: the first at its episode's begin, the last at its end.

    How far an engine is off changes with what the arm is doing.
    """
    episodes = [episodes[i] for i in evenly(len(episodes), runs)]
    taken = dict.fromkeys(episodes, 0)
    for i in range(runs):
        episode = episodes[i % len(episodes)]
        length = dataset.length(episode)
        start = i * max(0, length - frames) // max(1, runs - 1)
        rows = range(max(start, taken[episode]), min(start + frames, length))
        if rows:
            taken[episode] = rows.stop
            yield episode, rows


def _observations(
    dataset: Dataset, episode: int, rows: Sequence[int], spec: PolicySpec
) -> Iterator[Observation]:
    where = f"{dataset.root}: episode {episode}"
    for frame in dataset.frames(episode, rows):
        for feature in spec.inputs:
            found = frame[feature.key].shape
            if feature.kind == "VISUAL" and found != feature.boundary_shape:
                height, width, _ = feature.boundary_shape
                raise EngineError(
                    f"{where}: {feature.key}: images of {found[0]}x{found[1]}, the policy takes "
                    f"{height}x{width} (height x width); give the dataset it was trained on"
                )
            check(frame[feature.key], feature, where)
        yield {feature.key: frame[feature.key] for feature in spec.inputs}


def _notes(dataset: Dataset, spec: PolicySpec) -> tuple[str, ...]:
    if spec.trained_hz is None or dataset.fps == spec.trained_hz:
        return ()
    return (
        f"{dataset.root}: recorded at {dataset.fps:g} frames per second, the policy was trained "
        f"at {spec.trained_hz:g}: errors of ensembled actions are those at the former",
    )


def _counted(things: Sequence[object] | dict[int, list[int]], name: str) -> str:
    return f"{len(things)} {name}{'s' if len(things) != 1 else ''}"
