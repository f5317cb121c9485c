"""Names of joints: from the training, else from the recording, else numbers."""

from __future__ import annotations

from pathlib import Path

from actd.datasets.paths import ACTION, INFO, names_of, read_info
from actd.policy.spec import PolicySpec


def joint_names(spec: PolicySpec, recording: str | Path | None) -> tuple[str, ...]:
    """Names of the joints of a policy, in its order.

    `recording` may be a LeRobotDataset. Raises RecordingError when that is one whose info file
    cannot be read.
    """
    names = spec.names.get(spec.action.key, ())
    if not names and recording is not None and (Path(recording) / INFO).is_file():
        feature = read_info(Path(recording))["features"].get(ACTION)
        names = tuple(names_of(feature)) if feature else ()
    count = spec.action_dim
    return names if len(names) == count else tuple(str(joint) for joint in range(count))
