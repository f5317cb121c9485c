"""The frames that an engine is calibrated and validated on.

A source is a LeRobotDataset folder, a folder of images and states, an .npz file of
observations or a folder of those, or the word `synthetic`. Calibration frames are spread over the
source; validation frames are others if there are enough. Raises EngineError that names the source
and what it lacks, RecordingError for a damaged dataset.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from actd.engine.base import Observation
from actd.engine.observations import read
from actd.errors import EngineInputError
from actd.export import episodes, image_folder
from actd.export.frames import Frames, evenly
from actd.export.image_folder import ImageFolder
from actd.policy.checkpoint import Checkpoint
from actd.policy.spec import PolicySpec

SYNTHETIC = "synthetic"

_CALIBRATION_SEED = 1
_VALIDATION_SEED = 2
# With fewer frames than this, calibration and validation both use all of them.
_ENOUGH = 10
# Beyond it float32 has no room for a range and what is computed from it.
_LARGEST = 1e30


def calibration_frames(source: str | Path, checkpoint: Checkpoint, count: int) -> Frames:
    """At most `count` frames to measure ranges on, spread over `source`.

    Of a dataset, from the episodes not used for validation; of others, from the first four fifths.
    """
    if str(source) == SYNTHETIC:
        return _synthetic(checkpoint, count, _CALIBRATION_SEED)
    path, spec = Path(source), checkpoint.spec
    if episodes.is_dataset(path):
        return _finite(episodes.calibration(path, checkpoint, count), spec)
    recording = _recording(path, spec)
    total = len(recording) if len(recording) < _ENOUGH else len(recording) * 4 // 5
    return _finite(Frames(recording.take(evenly(total, count)), str(path)), spec)


def validation_frames(source: str | Path, checkpoint: Checkpoint, count: int) -> Frames:
    """At most `count` frames to compare an engine with torch on.

    Of a dataset with two or more episodes, from episodes not used for calibration, unseen ones if
    there are enough, with the recorded actions; of others with ten frames or more, from the last
    fifth.
    """
    if str(source) == SYNTHETIC:
        return _synthetic(checkpoint, count, _VALIDATION_SEED)
    path, spec = Path(source), checkpoint.spec
    if episodes.is_dataset(path):
        return _finite(episodes.validation(path, checkpoint, count), spec)
    recording = _recording(path, spec)
    first = 0 if len(recording) < _ENOUGH else len(recording) * 4 // 5
    indexes = [first + i for i in evenly(len(recording) - first, count)]
    return _finite(Frames(recording.take(indexes), str(path)), spec)


def _finite(frames: Frames, spec: PolicySpec) -> Frames:
    """Return `frames`. Raises EngineError for a value in them that is not finite."""
    for number, observation in enumerate(frames.observations):
        for feature in spec.vectors:
            if not (np.abs(observation[feature.key]) < _LARGEST).all():  # nor NaN
                raise EngineInputError(
                    f"{frames.source}: {feature.key}: a value that is not finite, or beyond 1e30, "
                    f"in frame {number} of the {len(frames)} used; repair the recording or leave "
                    "it out"
                )
    return frames


class _Npz:
    """Observations from .npz files."""

    def __init__(self, path: Path, spec: PolicySpec) -> None:
        self._observations = read(path, spec)

    def __len__(self) -> int:
        return len(self._observations)

    def take(self, indexes: list[int]) -> list[Observation]:
        return [self._observations[i] for i in indexes]


def _recording(path: Path, spec: PolicySpec) -> ImageFolder | _Npz:
    if image_folder.is_image_folder(path, spec):
        return ImageFolder(path, spec)
    observations = any(file.name not in image_folder.STATES for file in path.glob("*.npz"))
    if not path.exists() or (path.is_dir() and not observations):
        folders = ", ".join(camera.camera for camera in spec.cameras)
        problem = "nothing to calibrate on" if path.exists() else "no such file or folder"
        raise EngineInputError(
            f"{path}: {problem}; give a LeRobotDataset (meta/info.json), a folder "
            f"with images in {folders or 'a folder per camera'} and states.npy, .npz files, "
            f"or the word {SYNTHETIC}"
        )
    return _Npz(path, spec)


def _synthetic(checkpoint: Checkpoint, count: int, seed: int) -> Frames:
    from actd.policy.synthetic import synthetic

    return Frames(synthetic(checkpoint, count=count, seed=seed), SYNTHETIC)
