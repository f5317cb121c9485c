"""Reads a checkpoint's config.json into a PolicySpec.

Owns the rules of LeRobot's ACT configuration: which keys matter for inference,
their defaults, and which combinations cannot work. Reads plain JSON data and
touches no tensor. Anything unusable is a CheckpointError of one line; keys it
does not know are returned as notes, because newer versions add training options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from actd.element_names import unsupported
from actd.policy.files import refusal
from actd.policy.spec import SIZE_MAX, Architecture, Feature, PolicySpec

STATE_KEY = "observation.state"
ACTION_KEY = "action"

BACKBONES = ("resnet18", "resnet34", "resnet50")
ACTIVATIONS = ("relu", "gelu")

# A layer of more cannot be counted, let alone held.
_WIDEST = 1 << 16

# Keys that LeRobot writes and inference has no use for.
_TRAINING_KEYS = frozenset(
    [
        "device",
        "use_amp",
        "use_peft",
        "push_to_hub",
        "repo_id",
        "private",
        "tags",
        "license",
        "pretrained_path",
        "pretrained_revision",
        "normalization_mapping",
        "pretrained_backbone_weights",
        "use_vae",
        "n_vae_encoder_layers",
        "dropout",
        "kl_weight",
        "optimizer_lr",
        "optimizer_weight_decay",
        "optimizer_lr_backbone",
    ]
)

_M = TypeVar("_M", bound=BaseModel)


class _FeatureModel(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: str
    shape: tuple[Annotated[int, Field(lt=SIZE_MAX)], ...]


class _ActModel(BaseModel):
    """The keys of ACTConfig that change what inference computes."""

    model_config = ConfigDict(extra="ignore", strict=True)

    type: str
    n_obs_steps: int = 1
    chunk_size: int = Field(default=100, ge=1, lt=SIZE_MAX)
    n_action_steps: int = Field(default=100, ge=1, lt=SIZE_MAX)
    input_features: dict[str, Any]
    output_features: dict[str, Any]
    vision_backbone: str = "resnet18"
    replace_final_stride_with_dilation: bool | int = False
    pre_norm: bool = False
    dim_model: int = Field(default=512, ge=4, le=_WIDEST)
    n_heads: int = Field(default=8, ge=1, le=_WIDEST)
    dim_feedforward: int = Field(default=3200, ge=1, le=_WIDEST)
    feedforward_activation: str = "relu"
    n_encoder_layers: int = Field(default=4, ge=1)
    n_decoder_layers: int = Field(default=1, ge=1)
    latent_dim: int = Field(default=32, ge=1)
    temporal_ensemble_coeff: float | None = Field(default=None, gt=-1e9, lt=1e9)
    use_relative_actions: bool = False


def read_spec(data: Mapping[str, Any], file: Path) -> tuple[PolicySpec, tuple[str, ...]]:
    """The specification in a parsed config.json, and notes on what was ignored.

    Raises CheckpointError when the policy is not an ACT that can be run.
    """
    _check_kind(data, file)
    model = _validated(_ActModel, data, file, "")
    for key, value, remedy in _conflicts(model):
        raise refusal(file, key, value, remedy)
    inputs, notes = _inputs(model.input_features, file)
    spec = PolicySpec(
        inputs=inputs,
        action=_action(model.output_features, file),
        chunk_size=model.chunk_size,
        n_action_steps=model.n_action_steps,
        temporal_ensemble_coeff=model.temporal_ensemble_coeff,
        architecture=Architecture(
            vision_backbone=model.vision_backbone,
            replace_final_stride_with_dilation=bool(model.replace_final_stride_with_dilation),
            pre_norm=model.pre_norm,
            dim_model=model.dim_model,
            n_heads=model.n_heads,
            dim_feedforward=model.dim_feedforward,
            feedforward_activation=model.feedforward_activation,
            n_encoder_layers=model.n_encoder_layers,
            n_decoder_layers=model.n_decoder_layers,
            latent_dim=model.latent_dim,
        ),
    )
    others = [key for key in model.output_features if key != ACTION_KEY]
    notes += tuple(f"{file}: output_features.{key}: not given by actd, ignored" for key in others)
    unknown = sorted(set(data) - set(_ActModel.model_fields) - _TRAINING_KEYS)
    return spec, notes + tuple(f"{file}: {key}: unknown key, ignored" for key in unknown)


def _check_kind(data: Mapping[str, Any], file: Path) -> None:
    """Refuse other policies by name, before their keys confuse anyone."""
    if "type" not in data:
        raise refusal(file, "type", "missing", "a LeRobot ACT checkpoint says type: act")
    if data["type"] == "actd":
        raise refusal(file, "type", "an engine", "give the checkpoint that it was exported from")
    if data["type"] != "act":
        raise refusal(file, "type", f"{data['type']!r}", "only ACT policies (act) can be run")


def _conflicts(c: _ActModel) -> Iterator[tuple[str, str, str]]:
    """Every rule that spans values, as (key, found, remedy)."""
    if c.n_obs_steps != 1:
        yield "n_obs_steps", f"{c.n_obs_steps}", "ACT takes exactly 1 observation"
    if c.n_action_steps > c.chunk_size:
        value = f"{c.n_action_steps} is more than chunk_size {c.chunk_size}"
        yield "n_action_steps", value, "it must be at most chunk_size"
    if c.temporal_ensemble_coeff is not None and c.n_action_steps > 1:
        value = f"{c.temporal_ensemble_coeff} with n_action_steps {c.n_action_steps}"
        yield (
            "temporal_ensemble_coeff",
            value,
            "set n_action_steps to 1 or the coefficient to null",
        )
    if c.vision_backbone not in BACKBONES:
        yield "vision_backbone", f"{c.vision_backbone!r}", f"use one of {', '.join(BACKBONES)}"
    if c.replace_final_stride_with_dilation and c.vision_backbone != "resnet50":
        value = f"true with {c.vision_backbone}"
        yield "replace_final_stride_with_dilation", value, "only resnet50 can be dilated"
    if c.feedforward_activation not in ACTIVATIONS:
        value = f"{c.feedforward_activation!r}"
        yield "feedforward_activation", value, f"use one of {', '.join(ACTIVATIONS)}"
    if c.use_relative_actions:
        yield "use_relative_actions", "true", unsupported("relative actions")
    if c.dim_model % c.n_heads or c.dim_model % 4:
        value = f"{c.dim_model} with n_heads {c.n_heads}"
        yield "dim_model", value, "it must be a multiple of n_heads and of 4"


def _inputs(features: Mapping[str, Any], file: Path) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """The inputs that the network reads, in the checkpoint's order, and notes on the rest."""
    inputs: list[Feature] = []
    notes: list[str] = []
    for key, raw in features.items():
        kind, shape = _feature(raw, file, f"input_features.{key}")
        used = (
            kind == "VISUAL"
            or (kind == "STATE" and key == STATE_KEY)
            or (kind == "ENV" and all(f.kind != "ENV" for f in inputs))
        )
        if not used:
            notes.append(f"{file}: input_features.{key}: {kind} input is not read by ACT, ignored")
            continue
        where = f"input_features.{key}.shape"
        if kind == "VISUAL":
            read = _image_shape(shape, file, where)
            if read != shape:
                size = f"{read[2]}x{read[1]} pixels (width x height)"
                notes.append(f"{file}: {where}: {list(shape)} is read as {size}")
            shape = read
        elif len(shape) != 1 or shape[0] < 1:
            raise refusal(file, where, f"{list(shape)}", "need [size]")
        inputs.append(Feature(key, kind, shape))  # type: ignore[arg-type]
    if not any(f.kind in ("VISUAL", "ENV") for f in inputs):
        raise refusal(file, "input_features", "no VISUAL and no ENV input", "ACT needs one of them")
    return tuple(inputs), tuple(notes)


def _image_shape(shape: tuple[int, ...], file: Path, where: str) -> tuple[int, int, int]:
    """A camera's shape as (3, height, width), in whatever order its training wrote it.

    LeRobot's ACT never reads it. Converters leave the channels last, or in the middle, where they
    called (3, height, width) height, width and channels. Raises CheckpointError.
    """
    value, remedy = f"{list(shape)}", "write [3, height, width] into the file"
    if len(shape) != 3 or min(shape) < 1:
        raise refusal(file, where, value, remedy)
    if shape.count(3) == 1:
        a, b, c = shape
        return {0: (3, b, c), 1: (3, c, a), 2: (3, a, b)}[shape.index(3)]
    if shape.count(3) > 1:
        raise refusal(file, where, f"{value}, which may be read in several ways", remedy)
    if 1 in shape:
        value, remedy = (
            f"{value}, one channel: a depth camera?",
            "train with colour cameras alone",
        )
    raise refusal(file, where, value, f"ACT sees 3 channels; {remedy}")


def _action(features: Mapping[str, Any], file: Path) -> Feature:
    if ACTION_KEY not in features:
        problem = f"has {', '.join(features) or 'nothing'}"
        raise refusal(file, "output_features", problem, f"ACT gives a feature called {ACTION_KEY}")
    kind, shape = _feature(features[ACTION_KEY], file, f"output_features.{ACTION_KEY}")
    if kind != "ACTION" or len(shape) != 1 or shape[0] < 1:
        problem = f"{kind} {list(shape)}"
        raise refusal(file, f"output_features.{ACTION_KEY}", problem, "need type ACTION, [joints]")
    return Feature(ACTION_KEY, "ACTION", shape)


def _feature(raw: object, file: Path, key: str) -> tuple[str, tuple[int, ...]]:
    model = _validated(_FeatureModel, raw, file, key)
    return model.type, model.shape


def _validated(model: type[_M], data: object, file: Path, prefix: str) -> _M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([prefix, *map(str, first["loc"])]).strip(".")
        problem = "missing" if first["type"] == "missing" else repr(first["input"])[:60]
        raise refusal(file, key or "config", problem, first["msg"].lower()) from None
