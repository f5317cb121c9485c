"""What every checkpoint format gives, and what LeRobot's formats share.

A format recognises a checkpoint by what lies in its folder and reads everything
but the tensors' values, which are loaded on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from actd.policy.files import WEIGHTS, TensorFile, open_tensors, refusal
from actd.policy.locate import Place
from actd.policy.normalization import Normalization
from actd.policy.overrides import Overrides
from actd.policy.spec import PolicySpec

_MODEL = "model."
# The name of PyTorch's compiled wrapper, left in the names of tensors saved from it.
_COMPILED = "_orig_mod."
_RENAMED = {"encoder_robot_and_latent_pos_embed.weight": "encoder_1d_feature_pos_embed.weight"}
_TRAINING_ONLY = "vae_encoder"

# Statistics that LeRobot before 0.4 kept among the weights.
STATISTICS_PREFIXES = ("normalize_inputs.", "normalize_targets.", "unnormalize_outputs.")


@dataclass(frozen=True, slots=True)
class Weights:
    """The tensors of one file under the names that the network gives them.

    `names` maps them to the names in the file; `load` reads the values.
    """

    file: Path
    names: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    load: Callable[[], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint as its files describe it, tensors not loaded yet.

    The features of `spec` and `normalization` bear the names that the user supplies.
    `notes` says what was ignored, translated or assumed.
    """

    folder: Path
    spec: PolicySpec
    normalization: Normalization
    weights: Weights
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckpointFormat:
    """One layout: `detect` says by what it was recognised, or None; `read` reads it.

    `options` are those of the command line's particular options that it takes.
    """

    name: str
    title: str
    detect: Callable[[Place], str | None]
    read: Callable[[Place, Overrides], Stored]
    options: tuple[str, ...] = ()


def lerobot_tensors(place: Place) -> TensorFile:
    """The open model.safetensors of a LeRobot folder."""
    return open_tensors(place.folder / WEIGHTS, "copy the checkpoint again")


def plain_name(key: str) -> str:
    """A stored name without what torch.compile adds to it."""
    return key.replace(_COMPILED, "")


def lerobot_weights(tensors: TensorFile) -> Weights:
    """The network's tensors in LeRobot's naming of any age, training-only ones left out."""
    names: dict[str, str] = {}
    for key in tensors.shapes:
        plain = plain_name(key)
        name = plain.removeprefix(_MODEL)
        if name == plain or name.startswith(_TRAINING_ONLY):
            continue
        name = _RENAMED.get(name, name)
        if name in names:
            found = f"the same tensor as {names[name]}"
            raise refusal(tensors.path, key, found, "keep one of them")
        names[name] = key

    def load() -> Mapping[str, Any]:
        values = tensors.torch()
        return {name: values[key] for name, key in names.items()}

    shapes = {name: tensors.shapes[key] for name, key in names.items()}
    return Weights(tensors.path, names, shapes, load)


def supplied(spec: PolicySpec, renamed: Mapping[str, str]) -> PolicySpec:
    """The specification with its inputs named as the user supplies them."""
    inputs = tuple(replace(f, key=renamed.get(f.key, f.key)) for f in spec.inputs)
    return replace(spec, inputs=inputs)
