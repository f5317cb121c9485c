"""Whether a recording is one that an engine can be run on.

Looks at the dataset's features and one of its frames. RecordingError names what differs, in both.
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
    """Raise RecordingError unless the rows of `dataset` are what `engine` takes and gives.

    The images looked at are the first of `episode`, by default of the first episode.
    """
    known = {**dict.fromkeys(dataset.cameras), **dict.fromkeys(dataset.features)}
    missing = [feature.key for feature in spec.inputs if feature.key not in known]
    if missing:
        raise RecordingError(
            f"{dataset.root}: {missing[0]}: {engine} needs it "
            f"(it takes {', '.join(f.key for f in spec.inputs)}), the dataset has "
            f"{', '.join(dataset.features)}: {_REMEDY}"
        )
    joints = len(dataset.names(ACTION))
    if joints != spec.action_dim:
        raise RecordingError(
            f"{dataset.root}: {ACTION}: {joints} joints, {engine} commands {spec.action_dim}: "
            f"{_REMEDY}"
        )
    frame = next(dataset.frames(dataset.episodes[0] if episode is None else episode, [0]))
    for feature in spec.inputs:
        found, needed = frame[feature.key].shape, feature.boundary_shape
        if found == needed:
            continue
        if feature.kind == "VISUAL":
            sizes = "images of {1}x{0}, {engine} takes {3}x{2}"
            what = sizes.format(*found[:2], *needed[:2], engine=engine)
        else:
            what = f"{found[0]} values, {engine} takes {needed[0]}"
        raise RecordingError(f"{dataset.root}: {feature.key}: {what}: {_REMEDY} and camera size")
