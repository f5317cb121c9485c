"""The original ACT (tonyzhaozh/act): policy_best.ckpt and dataset_stats.pkl.

Both files are pickles and neither is executed: the weights are read by torch's own
weights-only reader, the statistics by safe_pickle. Sizes come from the tensors'
shapes; the camera names, the image size and the attention heads are in no file and
must be said (UsageError lists what is missing). Raises CheckpointError otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.demonstrations import STATISTICS
from actd.errors import UsageError, one_line
from actd.policy.config import ACTION_KEY, STATE_KEY
from actd.policy.files import refusal
from actd.policy.formats.base import CheckpointFormat, Stored, Weights
from actd.policy.formats.safe_pickle import DAMAGE, read_arrays
from actd.policy.locate import Place
from actd.policy.normalization import IMAGENET, Normalization, Statistics, checked
from actd.policy.overrides import ORIGINAL_OPTIONS, Overrides
from actd.policy.spec import IMAGE_PREFIX, Architecture, Feature, PolicySpec

STATISTICS_FILE = "dataset_stats.pkl"
# constants.py of the original: DT = 0.02
ORIGINAL_HZ = 50.0

_MODEL = "model."
# Theirs -> the network's.
_NAMES = (
    ("backbones.0.0.body.", "backbone."),
    ("transformer.encoder.", "encoder."),
    ("transformer.decoder.norm.", "decoder.norm."),
    # The original answers with the output of its first decoder layer; the others never ran.
    ("transformer.decoder.layers.0.", "decoder.layers.0."),
    ("action_head.", "action_head."),
    ("query_embed.", "decoder_pos_embed."),
    ("input_proj.", "encoder_img_feat_input_proj."),
    ("input_proj_robot_state.", "encoder_robot_state_input_proj."),
    ("latent_out_proj.", "encoder_latent_input_proj."),
    ("additional_pos_embed.", "encoder_1d_feature_pos_embed."),
)
# What serves training only: `encoder.` is the variational one, and of the decoder's layers only
# the first had a say.
_TRAINING_ONLY = re.compile(
    r"encoder\.|encoder_\w*proj\.|cls_embed\.|latent_proj\.|pos_table$|is_pad_head\."
    r"|transformer\.decoder\.layers\.[1-9]|.*\.num_batches_tracked$"
)
# What else a fork may hold: what it is.
_FORKS = (
    (re.compile(r"backbones\.[1-9]"), "a backbone for each camera, as act-plus-plus trains them"),
    (re.compile(r".*depth"), "a network that sees depth"),
    (re.compile(r""), "a tensor that the original ACT does not have"),
)
_NOT_ACT = "only the original ACT and LeRobot's can be run"
# Blocks of stage 3, and whether they are bottlenecks -> backbone.
_BACKBONES = {(2, False): "resnet18", (6, False): "resnet34", (6, True): "resnet50"}


@dataclass(frozen=True, slots=True)
class _Tensors:
    """The checkpoint's tensors by the network's names, and their names in the file."""

    file: Path
    values: Mapping[str, Any]
    names: Mapping[str, str]

    def shape(self, name: str, rank: int = 2) -> tuple[int, ...]:
        tensor = self.values.get(name)
        if tensor is None or tensor.ndim != rank:
            problem = "missing" if tensor is None else f"shape {list(tensor.shape)}"
            remedy = "not the weights of an original ACT with cameras and joint state"
            raise refusal(self.file, self.names.get(name, name), problem, remedy)
        return tuple(tensor.shape)


def _detect(place: Place) -> str | None:
    return f"has {place.main.name}" if place.is_original else None


def _read(place: Place, overrides: Overrides) -> Stored:
    tensors = _load(place.main)
    spec = _spec(tensors, overrides)
    colour = overrides.color or "rgb"
    normalization = Normalization(
        modes={f.key: "MEAN_STD" for f in (*spec.inputs, spec.action)},
        statistics=_statistics(place.folder / STATISTICS_FILE, spec, colour),
        eps=0.0,
    )
    values = dict(tensors.values)
    if colour == "bgr":
        # The engine takes RGB: exchanging the first kernels' channels is exact and free.
        values["backbone.conv1.weight"] = values["backbone.conv1.weight"][:, [2, 1, 0]]
    weights = Weights(
        file=place.main,
        names=tensors.names,
        shapes={name: tuple(value.shape) for name, value in values.items()},
        load=partial(dict, values),
    )
    notes = _notes(place.main, spec, overrides)
    return Stored(place.folder, spec, normalization, weights, notes)


def _load(file: Path) -> _Tensors:
    import torch

    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise refusal(file, "file", f"not readable ({error})", "copy it again") from None
    except DAMAGE as error:
        reason = one_line(error)[:120]
        remedy = "need the state_dict that imitate_episodes.py saves; copy it again"
        raise refusal(file, "file", f"not a file of weights alone ({reason})", remedy) from None
    if not isinstance(stored, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in stored.items()
    ):
        problem = f"a {type(stored).__name__} of other things than tensors"
        raise refusal(file, "file", problem, "need the state_dict that imitate_episodes.py saves")
    values: dict[str, Any] = {}
    names: dict[str, str] = {}
    for key, value in stored.items():
        plain = key.removeprefix(_MODEL)
        if _TRAINING_ONLY.match(plain):
            continue
        if (name := _name(plain)) is None:
            what = next(words for pattern, words in _FORKS if pattern.match(plain))
            raise refusal(file, key, what, _NOT_ACT)
        values[name], names[name] = value, key
    _refuse_quantised(file, stored)
    return _Tensors(file, values, names)


def _refuse_quantised(file: Path, stored: Mapping[str, Any]) -> None:
    """A variational encoder gives a mean and a variance for each latent; a quantised one does not.

    Its latent comes from a second network, where the original's is zero.
    """
    for start in ("", _MODEL):
        coded, latent = (
            stored.get(f"{start}{n}.weight") for n in ("latent_proj", "latent_out_proj")
        )
        if coded is not None and latent is not None and coded.shape[0] != 2 * latent.shape[1]:
            problem = (
                f"{coded.shape[0]} rows for a latent of {latent.shape[1]}: a quantised latent (VQ)"
            )
            raise refusal(file, f"{start}latent_proj.weight", problem, _NOT_ACT)


def _name(key: str) -> str | None:
    names = (ours + key[len(theirs) :] for theirs, ours in _NAMES if key.startswith(theirs))
    return next(names, None)


def _spec(tensors: _Tensors, overrides: Overrides) -> PolicySpec:
    chunk, dim = tensors.shape("decoder_pos_embed.weight")
    joints, _ = tensors.shape("action_head.weight")
    _, states = tensors.shape("encoder_robot_state_input_proj.weight")
    _, latent = tensors.shape("encoder_latent_input_proj.weight")
    feedforward, _ = tensors.shape("encoder.layers.0.linear1.weight")
    backbone = _backbone(tensors)
    said = f"chunk {chunk}, {states} state values, {joints} joints, width {dim}, {backbone}"
    cameras, (height, width), heads = _options(tensors.file, said, overrides)
    if dim % heads:
        raise UsageError(f"--heads: {heads}: must divide the network's width {dim}; the original 8")
    return PolicySpec(
        inputs=(
            Feature(STATE_KEY, "STATE", (states,)),
            *(Feature(IMAGE_PREFIX + name, "VISUAL", (3, height, width)) for name in cameras),
        ),
        action=Feature(ACTION_KEY, "ACTION", (joints,)),
        chunk_size=chunk,
        n_action_steps=chunk,
        temporal_ensemble_coeff=None,
        architecture=Architecture(
            vision_backbone=backbone,
            replace_final_stride_with_dilation=False,
            pre_norm="encoder.norm.weight" in tensors.values,
            dim_model=dim,
            n_heads=heads,
            dim_feedforward=feedforward,
            feedforward_activation="relu",
            n_encoder_layers=_count(tensors, r"encoder\.layers\.(\d+)\."),
            n_decoder_layers=1,
            latent_dim=latent,
        ),
        trained_hz=overrides.fps or ORIGINAL_HZ,
    )


def _options(
    file: Path, said: str, overrides: Overrides
) -> tuple[tuple[str, ...], tuple[int, int], int]:
    """What only the user knows, or a UsageError that asks for all of it at once."""
    if overrides.cameras and overrides.image_size and overrides.heads:
        return overrides.cameras, overrides.image_size, overrides.heads
    values = {
        "--cameras A,B (camera_names of its task, in order)": overrides.cameras,
        "--image-size HxW": overrides.image_size,
        "--heads N (the original trains with 8)": overrides.heads,
    }
    missing = ", ".join(option for option, value in values.items() if not value)
    raise UsageError(f"{file}: original ACT ({said}) says no more of itself; give {missing}")


def _backbone(tensors: _Tensors) -> str:
    blocks = _count(tensors, r"backbone\.layer3\.(\d+)\.")
    bottleneck = "backbone.layer3.0.conv3.weight" in tensors.values
    name = _BACKBONES.get((blocks, bottleneck))
    if name is None:
        problem = f"{blocks} blocks in layer3"
        remedy = f"use one of {', '.join(_BACKBONES.values())}"
        raise refusal(tensors.file, "backbones.0.0.body", problem, remedy)
    return name


def _count(tensors: _Tensors, pattern: str) -> int:
    return len({match[1] for name in tensors.values if (match := re.match(pattern, name))})


def _statistics(file: Path, spec: PolicySpec, colour: str) -> dict[str, Statistics]:
    if not file.is_file():
        raise refusal(file, "file", "missing", "copy it from beside the training's checkpoint")
    try:
        arrays = read_arrays(file)
    except (ValueError, OSError) as error:
        remedy = "only numpy arrays and plain containers are read; copy it again"
        raise refusal(
            file, "file", f"not the statistics of an ACT dataset: {error}", remedy
        ) from None
    statistics: dict[str, Statistics] = {}
    for prefix, feature in (("qpos_", spec.inputs[0]), ("action_", spec.action)):
        every = {
            key.removeprefix(prefix): _vector(file, key, array)
            for key, array in arrays.items()
            if key.removeprefix(prefix) in STATISTICS
        }
        statistics[feature.key] = checked(file, prefix, feature, "MEAN_STD", every)
        if (every["std"] == 0).any():
            raise refusal(file, f"{prefix}std", "a zero", "the original clips it at 0.01")
    order = slice(None, None, -1 if colour == "bgr" else 1)
    image = {stat: np.array(value[order], np.float32) for stat, value in IMAGENET.items()}
    return statistics | {camera.key: image for camera in spec.cameras}


def _notes(file: Path, spec: PolicySpec, overrides: Overrides) -> tuple[str, ...]:
    cameras = ", ".join(camera.camera for camera in spec.cameras)
    notes = [
        f"cameras {cameras}, image size and {spec.architecture.n_heads} heads are as you said; "
        "no file can confirm them",
        "only decoder layer 0 is used, as the original does, and no dilation is assumed",
    ]
    if overrides.color is None:
        notes.append("colour order rgb is assumed, as its own tools do; else give --color bgr")
    if overrides.fps is None:
        notes.append(f"{ORIGINAL_HZ:g} Hz is assumed, the original's DT; else give --fps")
    return tuple(f"{file}: {note}" for note in notes)


FORMAT = CheckpointFormat("original", "the original ACT", _detect, _read, ORIGINAL_OPTIONS)


def _vector(file: Path, key: str, values: Any) -> NDArray[np.float32]:
    try:
        return np.asarray(values, np.float32).reshape(-1)
    except (OverflowError, TypeError, ValueError):
        raise refusal(file, key, "not numbers of 32 bits", "copy it again") from None
