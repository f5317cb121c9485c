"""Names of joints: from the training, else from the recording, else numbers."""

from __future__ import annotations

from pathlib import Path

from actd.datasets.paths import ACTION, INFO, names_of, read_info
from actd.policy.training import read_training


def joint_names(checkpoint: Path, recording: str | Path | None, count: int) -> tuple[str, ...]:
    """Names of the `count` joints of a policy, in its order.

    `checkpoint` is its folder; `recording` may be a LeRobotDataset. Raises RecordingError when
    that is one whose info file cannot be read.
    """
    names = read_training(checkpoint).joints
    if len(names) != count and recording is not None and (Path(recording) / INFO).is_file():
        feature = read_info(Path(recording))["features"].get(ACTION)
        names = tuple(names_of(feature)) if feature else ()
    return names if len(names) == count else tuple(str(joint) for joint in range(count))
