"""What every checkpoint format gives, and what LeRobot's formats share.

A format recognises a checkpoint by what lies in its folder and reads everything
but the tensors' values, which are loaded on demand.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
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
# The network's tensors begin so, in LeRobot of any age.
_NETWORK = re.compile(
    r"backbone\.|encoder\.|decoder\.|decoder_pos_embed\.|action_head\.|encoder_1d_feature_pos_embed\."
    r"|encoder_(?:latent|robot_state|env_state|img_feat)_input_proj\."
)

_MERGE = "merge them into the base policy (merge_and_unload, save_pretrained), then export"
_ADAPTERS = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
# What may lie in a folder in place of whole weights: what it is, and what to do.
_INSTEAD = {
    **dict.fromkeys(_ADAPTERS, ("adapters of a PEFT training", _MERGE)),
    f"{WEIGHTS}.index.json": ("weights in several files", "save the policy in one file"),
    "pytorch_model.bin": ("a pickle, which is never read", "save the policy as safetensors"),
}
_WEIGHTS_SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".onnx")

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
    `notes` says what was ignored, translated or assumed. `files` are those of the folder that
    were read besides the configuration and the weights.
    """

    folder: Path
    spec: PolicySpec
    normalization: Normalization
    weights: Weights
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


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
    """The open model.safetensors of a LeRobot folder. Raises CheckpointError."""
    whole = (place.folder / WEIGHTS).is_file()
    for name, (problem, remedy) in _INSTEAD.items():
        if (place.folder / name).is_file() and (not whole or name in _ADAPTERS):
            also = f", beside {WEIGHTS}" if whole else f", no {WEIGHTS}"
            raise refusal(place.folder / name, "file", problem + also, remedy)
    weights = place.folder / WEIGHTS
    others = [] if whole else sorted(file.name for file in _weights_files(place.folder))
    if others:
        problem = f"missing, beside {', '.join(others)}"
        raise refusal(weights, "file", problem, "save the policy in one file of this name")
    return open_tensors(weights, "copy the checkpoint again")


def _weights_files(folder: Path) -> Iterator[Path]:
    """Files that may hold the tensors of a policy, statistics left out."""
    for file in folder.iterdir():
        if file.suffix in _WEIGHTS_SUFFIXES and not file.name.startswith("policy_"):
            yield file


def unread_files(folder: Path, read: Iterable[str]) -> tuple[str, ...]:
    """A note for every file of `folder` that may hold something of a policy and was not read."""
    known = {WEIGHTS, *read}
    return tuple(
        f"{file}: not read"
        for file in sorted(folder.iterdir())
        if file.suffix in _WEIGHTS_SUFFIXES and file.name not in known and file.is_file()
    )


def plain_name(key: str) -> str:
    """A stored name without what torch.compile adds to it."""
    return key.replace(_COMPILED, "")


def lerobot_weights(tensors: TensorFile) -> Weights:
    """The network's tensors in LeRobot's naming of any age, training-only ones left out.

    Raises CheckpointError for a tensor that is neither.
    """
    names: dict[str, str] = {}
    for key in tensors.shapes:
        plain = plain_name(key)
        name = _RENAMED.get(plain.removeprefix(_MODEL), plain.removeprefix(_MODEL))
        if plain.startswith(STATISTICS_PREFIXES) or name.startswith(_TRAINING_ONLY):
            continue
        if name == plain or not _NETWORK.match(name):
            remedy = "it belongs to another network than LeRobot's ACT, which cannot be run"
            raise refusal(tensors.path, key, "a tensor that ACT has no use for", remedy)
        if name in names:
            problem = f"the same tensor as {names[name]}"
            raise refusal(tensors.path, key, problem, "keep one of them")
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
