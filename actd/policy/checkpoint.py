"""Reads a LeRobot (0.4 or newer) ACT checkpoint from disk.

Owns finding the folder and checking every file in it: config.json gives the
specification, the processors give the normalisation, model.safetensors gives the
tensors that inference needs (the training-only ones are dropped). Fails with a
CheckpointError of one line that names file, key, what was found and what to do;
it never returns a checkpoint that would run un-normalised by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from actd.errors import CheckpointError
from actd.hashing import sha256
from actd.policy.config import read_spec, refusal
from actd.policy.processors import (
    PREPROCESSOR,
    Normalization,
    Statistics,
    read_json,
    read_normalization,
    read_tensors,
)
from actd.policy.spec import PolicySpec

if TYPE_CHECKING:
    import torch

WEIGHTS = "model.safetensors"
CONFIG = "config.json"

_PREFIX = "model."
# Statistics that LeRobot before 0.4 kept among the weights.
_OLD_STATISTICS = ("normalize_inputs.", "normalize_targets.", "unnormalize_outputs.")
_WITHIN = ("", "pretrained_model", "last/pretrained_model", "checkpoints/last/pretrained_model")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked checkpoint: everything that inference needs and nothing else.

    Feature names are those the user supplies (before the checkpoint's own renaming).
    `tensors` are float32, named as in the file without the leading `model.`.
    """

    folder: Path
    spec: PolicySpec
    statistics: Mapping[str, Statistics]
    normalization: Mapping[str, str]
    eps: float
    tensors: Mapping[str, torch.Tensor]
    weights_sha256: str
    notes: tuple[str, ...]


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read the checkpoint at `path`: its folder, the parent of it, or a training run.

    Raises CheckpointError when anything is missing, damaged, or cannot be run.
    """
    folder = find_folder(Path(path))
    trained, notes = read_spec(read_json(folder / CONFIG), folder / CONFIG)
    weights = folder / WEIGHTS
    stored = read_tensors(weights, "copy the checkpoint again")
    _refuse_old_statistics(weights, stored, (folder / PREPROCESSOR).is_file())
    normalization = read_normalization(folder, trained)
    return Checkpoint(
        folder=folder,
        spec=_as_supplied(trained, normalization),
        statistics=normalization.statistics,
        normalization=normalization.modes,
        eps=normalization.eps,
        tensors=_tensors(weights, stored, trained),
        weights_sha256=sha256(weights),
        notes=notes,
    )


def find_folder(path: Path) -> Path:
    """The folder that holds config.json, at `path` or where a training run keeps it."""
    for within in _WITHIN:
        folder = path / within
        if (folder / CONFIG).is_file():
            return folder.resolve()
    found = "no such folder" if not path.exists() else f"no {CONFIG} here or in pretrained_model"
    raise CheckpointError(f"{path}: {found}; give the folder with {CONFIG} and {WEIGHTS}")


def _refuse_old_statistics(file: Path, stored: Mapping[str, object], has_processors: bool) -> None:
    for key in stored:
        if key.startswith(_OLD_STATISTICS) or (
            not has_processors and any(part in key for part in _OLD_STATISTICS)
        ):
            raise refusal(
                file,
                key,
                "statistics inside the weights (LeRobot before 0.4)",
                "convert it with LeRobot's migrate_policy_normalization and check the names",
            )


def _as_supplied(spec: PolicySpec, normalization: Normalization) -> PolicySpec:
    names = normalization.renamed
    return replace(spec, inputs=tuple(replace(f, key=names.get(f.key, f.key)) for f in spec.inputs))


def _tensors(
    file: Path, stored: Mapping[str, torch.Tensor], spec: PolicySpec
) -> dict[str, torch.Tensor]:
    """The tensors that the network of `spec` needs, float32, each of the right shape."""
    from actd.policy.network import tensor_shapes

    # torch.compile leaves its wrapper in the names
    plain = {key.replace("_orig_mod.", ""): tensor for key, tensor in stored.items()}
    tensors: dict[str, torch.Tensor] = {}
    for key, shape in tensor_shapes(spec).items():
        tensor = plain.get(_PREFIX + key)
        if tensor is None:
            remedy = "the weights do not belong to this config.json; copy both again"
            raise refusal(file, _PREFIX + key, "missing", remedy)
        if tuple(tensor.shape) != shape:
            found = f"shape {list(tensor.shape)}"
            raise refusal(file, _PREFIX + key, found, f"config.json asks for {list(shape)}")
        if not bool(tensor.isfinite().all()):
            raise refusal(file, _PREFIX + key, "values not finite", "the training diverged")
        tensors[key] = tensor.float()
    return tensors
