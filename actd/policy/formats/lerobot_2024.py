"""LeRobot before January 2025: input_shapes and one normalisation mode per feature.

Owns the translation of that config.json into today's keys; the statistics are
buffers among the weights. The files do not name the policy, so an ACT is known by
its own keys. Raises CheckpointError.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from actd.policy.config import read_spec
from actd.policy.files import read_json, refusal
from actd.policy.formats.base import CheckpointFormat, Stored, lerobot_tensors, lerobot_weights
from actd.policy.formats.buffers import read_buffers
from actd.policy.locate import Place
from actd.policy.normalization import filled, known_mode
from actd.policy.overrides import STATISTICS_OPTION, Overrides
from actd.policy.spec import Feature

_SHAPES = ("input_shapes", "output_shapes")
_MODES = ("input_normalization_modes", "output_normalization_modes")
_MOMENTUM = "temporal_ensemble_momentum"
# What an ACT of that age always wrote and no other policy did.
_ACT_KEYS = ("chunk_size", "n_action_steps", "n_encoder_layers", "dim_feedforward")
# How the policies of that age told inputs apart: by the beginning of their names.
_KINDS = (
    ("observation.image", "VISUAL"),
    ("observation.environment_state", "ENV"),
)


def _detect(place: Place) -> str | None:
    if place.is_original or not set(_SHAPES) & set(read_json(place.main)):
        return None
    return f"{place.main.name} has {_SHAPES[0]}"


def _read(place: Place, overrides: Overrides) -> Stored:
    file, data = place.main, read_json(place.main)
    translated, notes = _translate(data, file)
    spec, more = read_spec(translated, file)
    features = (*spec.inputs, spec.action)
    modes, silent = _modes(data, features, file)
    tensors = lerobot_tensors(place)
    return Stored(
        folder=place.folder,
        spec=spec,
        normalization=read_buffers(tensors, spec, modes, overrides),
        weights=lerobot_weights(tensors),
        notes=notes + more + silent,
    )


def _translate(data: Mapping[str, Any], file: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The same configuration in today's keys."""
    if "input_features" in data:
        remedy = "keep those of the LeRobot that trained it"
        raise refusal(file, "input_shapes", "beside input_features", remedy)
    for key in (*_SHAPES, *_MODES):
        if not isinstance(data.get(key), dict):
            problem = f"{data[key]!r}"[:60] if key in data else "missing"
            raise refusal(file, key, problem, "need an object with one entry per feature")
    if missing := [key for key in _ACT_KEYS if key not in data]:
        raise refusal(file, missing[0], "missing", "not an ACT policy; only ACT can be run")
    dropped = {*_SHAPES, *_MODES, _MOMENTUM}
    translated = {key: value for key, value in data.items() if key not in dropped}
    translated.setdefault("type", "act")
    translated["input_features"] = _features(data["input_shapes"], "STATE")
    translated["output_features"] = _features(data["output_shapes"], "ACTION")
    coefficient, notes = _coefficient(data.get(_MOMENTUM), file)
    translated.setdefault("temporal_ensemble_coeff", coefficient)
    return translated, notes


def _features(shapes: Mapping[str, Any], default: str) -> dict[str, Any]:
    return {key: {"type": _kind(key) or default, "shape": shape} for key, shape in shapes.items()}


def _kind(key: str) -> str | None:
    return next((kind for start, kind in _KINDS if key.startswith(start)), None)


def _coefficient(momentum: object, file: Path) -> tuple[float | None, tuple[str, ...]]:
    """Today's coefficient of an exponential moving average with `momentum`."""
    if momentum is None:
        return None, ()
    if not isinstance(momentum, float) or not 0 < momentum < 1:
        raise refusal(file, _MOMENTUM, f"{momentum!r}", "need a number between 0 and 1, or null")
    coefficient = math.log(momentum)
    note = (
        f"{file}: {_MOMENTUM}: {momentum} became temporal_ensemble_coeff {coefficient:.4g}; "
        f"the weights are the same but for the oldest prediction, which that LeRobot weighted "
        f"{1 / (1 - momentum):.3g} times as much"
    )
    return coefficient, (note,)


def _modes(
    data: Mapping[str, Any], features: tuple[Feature, ...], file: Path
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The mode of every feature, and a note for each that has none."""
    said = {
        key: known_mode(file, f"{place}.{key}", mode)
        for place in _MODES
        for key, mode in data[place].items()
    }
    shapes = {**data["input_shapes"], **data["output_shapes"]}
    for key in said:
        if key not in shapes:
            remedy = f"name one of {', '.join(shapes)}"
            raise refusal(file, f"{_MODES[0]}.{key}", "no such feature", remedy)
    modes = {f.key: said.get(f.key) for f in features}
    return filled(modes, file)


FORMAT = CheckpointFormat(
    "lerobot-2024", "LeRobot before 2025", _detect, _read, (STATISTICS_OPTION,)
)
