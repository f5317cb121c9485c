"""Frames of a LeRobotDataset folder, v2.1 or v3.0, also as written by `actd record`.

Calibration uses frames spread evenly over its episodes; validation uses frames of other episodes,
if there are two or more: of those that the policy was not trained on, where that is known. Only
the images of these frames are decoded.
Raises EngineError if the dataset does not fit the policy, RecordingError if it is damaged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from actd.datasets import Dataset, open_dataset
from actd.datasets.paths import ACTION, INFO
from actd.engine.base import Observation
from actd.engine.distance import targets
from actd.engine.observations import check
from actd.errors import EngineInputError
from actd.export.frames import Frames, Recorded, evenly
from actd.policy.checkpoint import Checkpoint
from actd.policy.spec import PolicySpec

# Errors of one episode are alike: frames of more episodes tell more than more frames.
_VALIDATION_EPISODES = 20
# With fewer unseen episodes than this, the policy's error on them would be a matter of luck.
_ENOUGH_UNSEEN = 4


def is_dataset(path: Path) -> bool:
    """Whether `path` is a LeRobotDataset."""
    return (path / INFO).is_file()


@dataclass(frozen=True, slots=True)
class _Split:
    """Episodes by their use. `unseen`: those for validation are known not to be trained on."""

    calibration: Sequence[int]
    validation: Sequence[int]
    unseen: bool


def calibration(path: Path, checkpoint: Checkpoint, count: int) -> Frames:
    """At most `count` frames, evenly spread over the episodes not used for validation."""
    spec = checkpoint.spec
    dataset = _open(path, spec)
    episodes = _split(dataset.episodes, checkpoint.trained_episodes).calibration
    rows = _rows(dataset, episodes, count)
    source = f"{path} ({_counted(rows, 'episode')})"
    return Frames(_observations(dataset, rows, spec), source, _notes(dataset, spec))


def validation(path: Path, checkpoint: Checkpoint, count: int) -> Frames:
    """At most `count` frames from episodes not used for calibration if possible."""
    spec = checkpoint.spec
    dataset = _open(path, spec)
    split = _split(dataset.episodes, checkpoint.trained_episodes)
    rows = _rows(dataset, split.validation, count)
    used = "also used" if split.validation == split.calibration else "not used"
    role = f"{used} for calibration{', not trained on' if split.unseen else ''}"
    return Frames(
        _observations(dataset, rows, spec),
        f"{path} ({_counted(rows, 'episode')}, {role})",
        _notes(dataset, spec),
        _recorded(dataset, rows, spec, unseen=split.unseen),
    )


def _open(path: Path, spec: PolicySpec) -> Dataset:
    """Open a dataset that has all the inputs of the policy. Raises EngineError."""
    dataset = open_dataset(path)
    if not dataset.episodes:
        raise EngineInputError(f"{path}: has no episode; give a dataset with recorded episodes")
    available = [
        key
        for key, feature in dataset.features.items()
        if key in dataset.cameras or feature["dtype"] in ("float32", "float64")
    ]
    if missing_keys := [f.key for f in spec.inputs if f.key not in available]:
        raise EngineInputError(
            f"{path}: {missing_keys[0]}: the policy takes {', '.join(f.key for f in spec.inputs)}, "
            f"the dataset holds {', '.join(available)}; give the dataset it was trained on"
        )
    return dataset


def _split(episodes: Sequence[int], trained: Collection[int] | None) -> _Split:
    """Episodes for calibration and for validation; a single one serves both."""
    if len(episodes) < 2:
        return _Split(episodes, episodes, unseen=False)
    # a list of other episodes than these is of another dataset
    known = trained is not None and set(trained) <= set(episodes)
    candidates = [e for e in episodes if known and e not in (trained or ())]
    unseen = len(candidates) >= _ENOUGH_UNSEEN
    count = min(_VALIDATION_EPISODES, len(candidates) if unseen else len(episodes) // 2)
    candidates = candidates if unseen else list(episodes)
    validation_episodes = [
        candidates[(2 * i + 1) * len(candidates) // (2 * count)] for i in range(count)
    ]
    others = [episode for episode in episodes if episode not in validation_episodes]
    return _Split(others, validation_episodes, unseen)


def _rows(dataset: Dataset, episodes: Sequence[int], count: int) -> dict[int, list[int]]:
    """At most `count` rows, evenly spread over the episodes, by episode."""
    places = [(episode, row) for episode in episodes for row in range(dataset.length(episode))]
    rows: dict[int, list[int]] = {}
    for i in evenly(len(places), count):
        rows.setdefault(places[i][0], []).append(places[i][1])
    return rows


def _recorded(
    dataset: Dataset, rows: Mapping[int, Sequence[int]], spec: PolicySpec, *, unseen: bool
) -> Recorded | None:
    """The actions recorded from each frame on, None for those of other joints or another rate."""
    shape = tuple(dataset.features.get(ACTION, {}).get("shape", ()))
    if shape != (spec.action_dim,) or spec.trained_hz not in (None, dataset.fps):
        return None
    chunks = [targets(dataset.actions(e), some, spec.chunk_size) for e, some in rows.items()]
    return Recorded(np.concatenate(chunks), len(rows), unseen)


def _observations(
    dataset: Dataset, rows: Mapping[int, Sequence[int]], spec: PolicySpec
) -> list[Observation]:
    return [one for episode, some in rows.items() for one in _episode(dataset, episode, some, spec)]


def _episode(
    dataset: Dataset, episode: int, rows: Sequence[int], spec: PolicySpec
) -> Iterator[Observation]:
    where = f"{dataset.root}: episode {episode}"
    for frame in dataset.frames(episode, rows):
        for feature in spec.inputs:
            shape = frame[feature.key].shape
            if feature.kind == "VISUAL" and shape != feature.boundary_shape:
                height, width, _ = feature.boundary_shape
                raise EngineInputError(
                    f"{where}: {feature.key}: images of {shape[0]}x{shape[1]}, the policy takes "
                    f"{height}x{width} (height x width); give the dataset it was trained on"
                )
            check(frame[feature.key], feature, where)
        yield {feature.key: frame[feature.key] for feature in spec.inputs}


def _notes(dataset: Dataset, spec: PolicySpec) -> tuple[str, ...]:
    if spec.trained_hz is None or dataset.fps == spec.trained_hz:
        return ()
    return (
        f"{dataset.root}: recorded at {dataset.fps:g} frames per second, the policy was trained "
        f"at {spec.trained_hz:g}: its actions are no measure of the policy's own error",
    )


def _counted(things: Collection[object], name: str) -> str:
    return f"{len(things)} {name}{'s' if len(things) != 1 else ''}"
