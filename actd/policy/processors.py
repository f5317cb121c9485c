"""Reads a checkpoint's pre- and post-processor: how each feature is normalised.

Owns the pipeline files (policy_preprocessor.json, policy_postprocessor.json) and
the statistics files they name. Steps are found by their registered name, never by
position. A feature that would pass un-normalised although its mode asks for
statistics is refused: an arm would flail, silently.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.policy.config import refusal
from actd.policy.spec import Feature, PolicySpec

PREPROCESSOR = "policy_preprocessor.json"
POSTPROCESSOR = "policy_postprocessor.json"
EPS = 1e-8

Statistics = Mapping[str, NDArray[np.float32]]

# What each mode needs, as (lower, upper) of its affine map.
MODE_STATISTICS: Mapping[str, tuple[str, ...]] = {
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
    "IDENTITY": (),
}

# Steps that leave the values of a single float32 observation as they are.
_NEUTRAL_STEPS = ("to_batch_processor", "device_processor")
_RENAME = "rename_observations_processor"


@dataclass(frozen=True, slots=True)
class Normalization:
    """How every feature is normalised, keyed by the names that the user supplies.

    `modes` has one of MODE_STATISTICS for each input and the action; `statistics`
    holds every statistic that the files have for them, vectors (D,), cameras (3,).
    `renamed` maps the trained name of an input to the name that the user supplies.
    """

    modes: Mapping[str, str]
    statistics: Mapping[str, Statistics]
    eps: float
    renamed: Mapping[str, str]


def read_normalization(folder: Path, spec: PolicySpec) -> Normalization:
    """Read both pipelines of the checkpoint in `folder`. Raises CheckpointError."""
    pre, rename = _steps(folder / PREPROCESSOR, "normalizer_processor")
    post, _ = _steps(folder / POSTPROCESSOR, "unnormalizer_processor")
    modes: dict[str, str] = {}
    statistics: dict[str, Statistics] = {}
    sides = ((PREPROCESSOR, pre, spec.inputs), (POSTPROCESSOR, post, (spec.action,)))
    for name, step, features in sides:
        file = folder / name
        tensors = _state(file, step)
        for feature in features:
            mode = _mode(file, step, feature)
            modes[feature.key] = mode
            statistics[feature.key] = _statistics(file, step, feature, mode, tensors)
    renamed = _renamed(folder / PREPROCESSOR, rename, spec)
    return Normalization(
        modes={renamed.get(k, k): v for k, v in modes.items()},
        statistics={renamed.get(k, k): v for k, v in statistics.items()},
        eps=float(pre.get("config", {}).get("eps", EPS)),
        renamed=renamed,
    )


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file, or a CheckpointError that says what is there instead."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise refusal(
            file, "file", "missing", "give the pretrained_model folder of LeRobot 0.4 or newer"
        ) from None
    except (OSError, ValueError) as error:
        raise refusal(file, "file", f"not readable JSON ({error})", "copy it again") from None
    if not isinstance(data, dict):
        raise refusal(file, "file", f"a JSON {type(data).__name__}", "need an object")
    return data


def read_tensors(file: Path, remedy: str = "copy it again") -> dict[str, Any]:
    """Every tensor of a safetensors file, as torch tensors on the CPU."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not file.is_file():
        raise refusal(file, "file", "missing", remedy)
    try:
        return dict(load_file(file))
    except (SafetensorError, OSError, ValueError) as error:
        found = f"not a complete safetensors file ({error})"
        raise refusal(file, "file", found, remedy) from None


def _steps(file: Path, wanted: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The (un)normalizer step of a pipeline file and its rename map."""
    steps = read_json(file).get("steps")
    if not isinstance(steps, list) or not all(isinstance(s, dict) for s in steps):
        raise refusal(file, "steps", f"{type(steps).__name__}", "need a list of steps")
    found: dict[str, Any] | None = None
    rename: dict[str, str] = {}
    for step in steps:
        name = step.get("registry_name")
        if name == wanted:
            found = step
        elif name == _RENAME:
            rename |= step.get("config", {}).get("rename_map") or {}
        elif name not in _NEUTRAL_STEPS:
            raise refusal(
                file, "steps", f"step {name!r}", "actd cannot run it; export without this step"
            )
    if found is None:
        raise refusal(
            file, "steps", f"no {wanted}", "actions would be un-normalised: save it again"
        )
    return found, rename


def _state(file: Path, step: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tensors of a step's state file; none when the step names no file."""
    name = step.get("state_file")
    if name is None:
        return {}
    if not isinstance(name, str) or Path(name).name != name:
        raise refusal(file, "state_file", f"{name!r}", "need the name of a file in this folder")
    return read_tensors(file.parent / name, "copy the statistics file beside the pipeline file")


def _mode(file: Path, step: Mapping[str, Any], feature: Feature) -> str:
    config = step.get("config", {})
    only = config.get("normalize_observation_keys")
    if only is not None and feature.kind != "ACTION" and feature.key not in only:
        return "IDENTITY"
    mode = config.get("norm_map", {}).get(feature.kind, "IDENTITY")
    if mode not in MODE_STATISTICS:
        known = ", ".join(MODE_STATISTICS)
        raise refusal(file, f"norm_map.{feature.kind}", f"{mode!r}", f"use one of {known}")
    return str(mode)


def _statistics(
    file: Path, step: Mapping[str, Any], feature: Feature, mode: str, tensors: Mapping[str, Any]
) -> Statistics:
    """The statistics of one feature, checked where its mode uses them."""
    source = file.parent / str(step.get("state_file") or file.name)
    size = feature.shape[0]
    prefix = f"{feature.key}."
    every = {
        key.removeprefix(prefix): tensor.float().numpy().reshape(-1)
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
    for stat in MODE_STATISTICS[mode]:
        _check(source, f"{prefix}{stat}", every.get(stat), size, mode)
    if mode == "MEAN_STD" and (every["std"] < 0).any():
        raise refusal(source, f"{prefix}std", "a negative value", "recompute the statistics")
    return {
        stat: values
        for stat, values in every.items()
        if values.shape == (size,) and np.isfinite(values).all()
    }


def _check(
    source: Path, key: str, values: NDArray[np.float32] | None, size: int, mode: str
) -> None:
    remedy = f"mode {mode} needs it; save the checkpoint with its dataset's statistics"
    if values is None:
        raise refusal(source, key, "missing", remedy)
    if values.shape != (size,):
        raise refusal(source, key, f"{values.size} values", f"need {size}; {remedy}")
    bad = int(np.count_nonzero(~np.isfinite(values)))
    if bad:
        raise refusal(source, key, f"{bad} of {size} values not finite", remedy)


def _renamed(file: Path, rename: Mapping[str, str], spec: PolicySpec) -> dict[str, str]:
    """Trained name -> supplied name, from the pipeline's supplied -> trained map."""
    renamed = {trained: supplied for supplied, trained in rename.items()}
    names = [renamed.get(f.key, f.key) for f in spec.inputs]
    if len(set(names)) != len(names) or len(renamed) != len(rename):
        raise refusal(file, "rename_map", f"{dict(rename)}", "two inputs would share one name")
    return renamed
