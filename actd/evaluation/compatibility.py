"""Check that an engine can be run on a dataset.

Looks at the dataset's features and one of its frames. RecordingError names both sides that differ.
"""

from __future__ import annotations

from actd.datasets.paths import ACTION
from actd.datasets.reader import Dataset
from actd.errors import RecordingError
from actd.policy.spec import PolicySpec

_REMEDY = "choose a dataset of the same robot"


def check_compatible(
    dataset: Dataset, spec: PolicySpec, engine: str, episode: int | None = None
) -> None:
    """Raise RecordingError unless `dataset` has the inputs and joints of `engine`.

    Shapes are checked on the first frame of `episode`, by default of the first episode.
    """
    available = {**dict.fromkeys(dataset.cameras), **dict.fromkeys(dataset.features)}
    missing_keys = [feature.key for feature in spec.inputs if feature.key not in available]
    if missing_keys:
        raise RecordingError(
            f"{dataset.root}: {missing_keys[0]}: missing, {engine} takes "
            f"{', '.join(f.key for f in spec.inputs)}, the dataset has "
            f"{', '.join(dataset.features)}; {_REMEDY}"
        )
    joints = len(dataset.names(ACTION))
    if joints != spec.action_dim:
        raise RecordingError(
            f"{dataset.root}: {ACTION}: {joints} joints, {engine} commands {spec.action_dim}: "
            f"{_REMEDY}"
        )
    frame = next(dataset.frames(dataset.episodes[0] if episode is None else episode, [0]))
    for feature in spec.inputs:
        shape, expected = frame[feature.key].shape, feature.boundary_shape
        if shape == expected:
            continue
        if feature.kind == "VISUAL":
            sizes = "images of {1}x{0}, {engine} takes {3}x{2}"
            mismatch = sizes.format(*shape[:2], *expected[:2], engine=engine)
        else:
            mismatch = f"{shape[0]} values, {engine} takes {expected[0]}"
        raise RecordingError(
            f"{dataset.root}: {feature.key}: {mismatch}; {_REMEDY} and camera size"
        )
