"""Reads an ACT checkpoint of any format from disk.

Owns the table of formats and the last check of the tensors: every one that the
network needs, of the right shape, finite, and none that it has no use for. Fails with
a CheckpointError of one line that names file, key, what was found and what to do; it
never returns a checkpoint that would run un-normalised by accident.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from actd.demonstrations import STATISTICS
from actd.element_names import element_names, is_speed, unfit_names
from actd.errors import CheckpointError, UsageError
from actd.hashing import sha256
from actd.policy.files import refusal
from actd.policy.formats import lerobot_0_1, lerobot_0_4, lerobot_2024, original
from actd.policy.formats.base import CheckpointFormat, Stored, unread_files
from actd.policy.locate import Place, locate
from actd.policy.normalization import Normalization, Statistics, is_imagenet, moments
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec, Training
from actd.policy.training import TrainingFiles, read_training
from actd.policy.warnings import exchangeable_cameras, policy_warnings

if TYPE_CHECKING:
    import torch

# The first that recognises a checkpoint reads it.
FORMATS: tuple[CheckpointFormat, ...] = (
    original.FORMAT,
    lerobot_2024.FORMAT,
    lerobot_0_4.FORMAT,
    lerobot_0_1.FORMAT,
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint recognised and described; its tensors are not loaded.

    `evidence` is what the format was recognised by.
    """

    checkpoint_format: CheckpointFormat
    evidence: str
    stored: Stored
    files: TrainingFiles
    is_original: bool

    @property
    def recognised(self) -> str:
        """One line for people: what was recognised, and by what."""
        return f"{self.stored.folder}: {self.checkpoint_format.title} ({self.evidence})"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before an arm moves by this checkpoint."""
        stored = self.stored
        return tuple(policy_warnings(stored.spec, stored.normalization, self.files))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked checkpoint: everything that inference needs and nothing else.

    Feature names are those the user supplies (before the checkpoint's own renaming).
    `tensors` are float32, by the network's names. `eps_added` as in Normalization.
    `recognised` says in one line which format it is and how that was recognised. `path` loads it
    again: its folder, or the weights file of an original ACT. `dataset_folder`: where the dataset
    that it was trained on lies, None where that is not on this computer; `trained_episodes`: those
    of its episodes that were chosen for training, None where none were.
    """

    folder: Path
    path: Path
    spec: PolicySpec
    statistics: Mapping[str, Statistics]
    normalization: Mapping[str, str]
    eps: float
    eps_added: bool
    tensors: Mapping[str, torch.Tensor]
    weights_sha256: str
    recognised: str
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    training: Training
    dataset_folder: Path | None = None
    trained_episodes: frozenset[int] | None = None

    def identity(self) -> str:
        """A SHA-256 of everything that its answers depend on."""
        spec = asdict(replace(self.spec, trained_hz=None))
        del spec["statistics"]  # hashed below, all of them and exactly
        del spec["names"]
        rules = {"modes": dict(self.normalization), "eps": [self.eps, self.eps_added]}
        digest = hashlib.sha256(json.dumps([spec, rules], sort_keys=True).encode())
        for key, statistics in sorted(self.statistics.items()):
            for name, values in sorted(statistics.items()):
                digest.update(f"{key} {name}".encode() + np.ascontiguousarray(values).tobytes())
        for key, tensor in sorted(self.tensors.items()):
            digest.update(key.encode() + np.ascontiguousarray(tensor.numpy()).tobytes())
        return digest.hexdigest()

    def action_std(self) -> tuple[float, ...] | None:
        """Each joint's standard deviation in physical units, None where none is recorded.

        Where only a range is known, a quarter of it stands in.
        """
        known = moments(self.statistics[self.spec.action.key])
        return None if known is None else tuple(float(v) for v in known[1])


def load_checkpoint(path: str | Path, overrides: Overrides | None = None) -> Checkpoint:
    """Read the checkpoint at `path`: its folder, a training run, a hub cache or repo id.

    `overrides` answer what an original ACT does not say of itself. Raises CheckpointError
    when anything is missing, damaged, or cannot be run, UsageError when `overrides` do not
    fit the checkpoint.
    """
    opened = open_checkpoint(path, overrides)
    stored, normalization = opened.stored, opened.stored.normalization
    return Checkpoint(
        folder=stored.folder,
        path=stored.weights.file if opened.is_original else stored.folder,
        spec=stored.spec,
        statistics=normalization.statistics,
        normalization=normalization.modes,
        eps=normalization.eps,
        eps_added=normalization.eps_added,
        tensors=_tensors(stored),
        weights_sha256=sha256(stored.weights.file),
        recognised=opened.recognised,
        notes=stored.notes,
        warnings=opened.warnings,
        training=opened.files.training,
        dataset_folder=opened.files.dataset_folder,
        trained_episodes=opened.files.episodes,
    )


def open_checkpoint(path: str | Path, overrides: Overrides | None = None) -> Opened:
    """Recognise and describe the checkpoint at `path`, as `load_checkpoint` finds it.

    Checks everything but the tensors. Needs torch only for an original ACT.
    """
    overrides = overrides or Overrides()
    place = locate(path, overrides.format)
    checkpoint_format, evidence = _recognise(place)
    if foreign := [
        option for option in overrides.particular() if option not in checkpoint_format.options
    ]:
        raise UsageError(
            f"{foreign[0]}: {place.folder} is {checkpoint_format.title}, which does not take it; "
            "leave the option out"
        )
    stored = checkpoint_format.read(place, overrides)
    files = read_training(stored.folder)
    hz = overrides.fps or stored.spec.trained_hz or files.training.fps
    names, notes = _names(stored.spec, files)
    statistics = _plain(stored.spec, stored.normalization.statistics)
    spec = replace(stored.spec, trained_hz=hz, names=names, statistics=statistics)
    notes += _remarks(spec, stored.normalization, files)
    if not place.is_original:
        notes += unread_files(stored.folder, stored.files)
    stored = replace(stored, spec=spec, notes=stored.notes + notes)
    return Opened(checkpoint_format, evidence, stored, files, place.is_original)


def _names(
    spec: PolicySpec, files: TrainingFiles
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The names that the dataset has for the numbers of each vector, and notes on unfit ones."""
    names: dict[str, tuple[str, ...]] = {}
    notes = []
    for feature in (*spec.vectors, spec.action):
        described = files.features.get(feature.key, {})
        if len(known := element_names(described)) == feature.shape[0]:
            names[feature.key] = known
        elif words := unfit_names(described):
            notes.append(f"dataset {files.training.dataset}: {feature.key}: {words}")
    return names, tuple(notes)


def _remarks(
    spec: PolicySpec, normalization: Normalization, files: TrainingFiles
) -> tuple[str, ...]:
    """What a user may want to know and need not act upon."""
    notes = []
    if spec.trained_hz is None and files.simulator_hz is not None:
        hz = f"{files.simulator_hz:g}"
        notes.append(
            f"fps: not known; the policy was evaluated in a simulator at {hz}: give --fps {hz} if "
            "its dataset has that rate too"
        )
    if alike := exchangeable_cameras(spec, normalization):
        notes.append(
            f"cameras {', '.join(alike)}: exchanging equal ones cannot be noticed and changes "
            "nothing"
        )
    names = spec.names.get(spec.action.key, ())
    if speeds := [name for name in names if is_speed(name)]:
        notes.append(f"action: {', '.join(speeds)}: speeds by their names: kind: velocity")
    return tuple(notes)


def _plain(
    spec: PolicySpec, statistics: Mapping[str, Statistics]
) -> dict[str, dict[str, tuple[float, ...]]]:
    """The statistics of the training data as numbers that JSON can hold.

    Those of most cameras are ImageNet's, which say nothing of it.
    """
    of_images = [camera.key for camera in spec.cameras]
    keys = [feature.key for feature in (*spec.vectors, spec.action)]
    keys += [key for key in of_images if _is_of_training(statistics.get(key, {}))]
    known = {key: statistics.get(key, {}) for key in keys}
    return {
        key: {
            name: tuple(map(float, stats[name]))
            for name in (("mean", "std") if key in of_images else STATISTICS)
            if name in stats
        }
        for key, stats in known.items()
        if stats
    }


def _is_of_training(statistics: Statistics) -> bool:
    """Whether a camera's mean and std are the dataset's, of values from 0 to 1."""
    if not {"mean", "std"} <= set(statistics) or is_imagenet(statistics):
        return False
    mean, std = statistics["mean"], statistics["std"]
    return bool((mean >= 0).all() and (mean <= 1).all() and (std > 0).all() and (std <= 1).all())


def _recognise(place: Place) -> tuple[CheckpointFormat, str]:
    for checkpoint_format in FORMATS:
        if (evidence := checkpoint_format.detect(place)) is not None:
            return checkpoint_format, evidence
    raise CheckpointError(
        f"{place.main}: no known format of an ACT checkpoint; give its folder as it was saved"
    )


def _tensors(stored: Stored) -> dict[str, torch.Tensor]:
    """The tensors that the network needs, float32, each of the right shape and finite."""
    from actd.policy.network import tensor_shapes

    weights = stored.weights
    expected = tensor_shapes(stored.spec)
    for key, shape in expected.items():
        name = weights.names.get(key, f"model.{key}")
        actual = weights.shapes.get(key)
        if actual is None:
            remedy = "the weights do not belong to this configuration; copy both again"
            raise refusal(weights.file, name, "missing", remedy)
        if actual != shape:
            remedy = f"the configuration asks for {list(shape)}"
            raise refusal(weights.file, name, f"shape {list(actual)}", remedy)
    for key, name in weights.names.items():
        # Batch norms that were frozen still count what they saw.
        if key not in expected and not key.endswith("num_batches_tracked"):
            remedy = "copy the files of one training, and no fork's: it would be left out"
            raise refusal(weights.file, name, "not in the network of this configuration", remedy)
    values = weights.load()
    for key in expected:
        if not bool(values[key].isfinite().all()):
            found_text, remedy = "values not finite", "the training diverged"
            raise refusal(weights.file, weights.names[key], found_text, remedy)
    return {key: values[key].float() for key in expected}
