"""Golden checkpoints in the layouts of every generation, from the same weights.

`LAYOUTS` writes one of golden.CASES as the LeRobot of that age would have saved it;
`write_original` rebuilds the original ACT's two files.
"""

from __future__ import annotations

import json
import pickle  # noqa: TID251 (the tests write what the original wrote)
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from actd.policy.overrides import Overrides
from tests import golden

ORIGINAL = "sim_two_cameras"
# As imitate_episodes.py was told; `case.json` holds the same.
ORIGINAL_HINTS = Overrides("original", ("top", "angle"), (96, 128), heads=8)

Array = np.ndarray[Any, Any]
_PIPELINE_FILES = ("policy_preprocessor*", "policy_postprocessor*")


def write_lerobot_0_1(case: str, folder: Path, dataset: str = "") -> Path:
    """LeRobot 0.1 to 0.3.3: statistics among the weights, inf where a mode needs none."""
    golden.write_checkpoint(case, folder)
    config = golden.config(case)
    tensors = load_file(folder / "model.safetensors")
    scope = f"{dataset}_" if dataset else ""
    for side, features in (
        ("normalize_inputs", config["input_features"]),
        ("normalize_targets", config["output_features"]),
        ("unnormalize_outputs", config["output_features"]),
    ):
        for key, feature in features.items():
            mode = config["normalization_mapping"].get(feature["type"], "IDENTITY")
            for stat in {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max")}.get(mode, ()):
                values = golden.statistics(key, tuple(feature["shape"]))[stat]
                buffer = f"{scope}buffer_{key.replace('.', '_')}"
                tensors[f"{side}.{buffer}.{stat}"] = np.ascontiguousarray(values)
    save_file(tensors, folder / "model.safetensors")
    for pattern in _PIPELINE_FILES:
        for file in folder.glob(pattern):
            file.unlink()
    return folder


def write_lerobot_2024(case: str, folder: Path) -> Path:
    """LeRobot before 2025, compiled, of the time before the position embedding was renamed."""
    write_lerobot_0_1(case, folder)
    config = golden.config(case)
    mapping = config.pop("normalization_mapping")
    config.pop("type")
    config["temporal_ensemble_momentum"] = config.pop("temporal_ensemble_coeff")
    for side in ("input", "output"):
        features = config.pop(f"{side}_features")
        config[f"{side}_shapes"] = {key: f["shape"] for key, f in features.items()}
        config[f"{side}_normalization_modes"] = {
            key: mapping[f["type"]].lower() for key, f in features.items() if f["type"] in mapping
        }
    (folder / "config.json").write_text(json.dumps(config))
    tensors = load_file(folder / "model.safetensors")
    renamed = "encoder_1d_feature_pos_embed", "encoder_robot_and_latent_pos_embed"
    plain = {key.replace(*renamed): value for key, value in tensors.items()}
    old = {key.replace("model.", "model._orig_mod.", 1): value for key, value in plain.items()}
    save_file(old, folder / "model.safetensors")
    return folder


LAYOUTS: dict[str, Callable[[str, Path], Path]] = {
    "lerobot-0.4": golden.write_checkpoint,
    "lerobot-0.1": write_lerobot_0_1,
    "lerobot-2024": write_lerobot_2024,
}


def write_original(folder: Path) -> Path:
    """policy_best.ckpt and dataset_stats.pkl as imitate_episodes.py saves them."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = json.loads((golden.DATA / ORIGINAL / "state_dict_shapes.json").read_text())
    state = {
        f"model.{key}": torch.from_numpy(golden.weight(f"model.{key}", tuple(shape)))
        for key, shape in shapes.items()
    }
    torch.save(state, folder / "policy_best.ckpt")
    write_statistics(folder / "dataset_stats.pkl", original_statistics())
    return folder


def original_statistics() -> dict[str, Any]:
    joints, state = (golden.statistics(key, (14,)) for key in ("action", "observation.state"))
    return {
        "action_mean": joints["mean"],
        "action_std": joints["std"],
        "qpos_mean": state["mean"],
        "qpos_std": state["std"],
        "example_qpos": np.zeros((5, 14), np.float32),
    }


def write_statistics(file: Path, statistics: object, protocol: int = 4) -> None:
    file.write_bytes(pickle.dumps(statistics, protocol))


def original_observation(index: int) -> dict[str, Array]:
    """Observation `index` of the original case, by the names that an engine takes."""
    size = ORIGINAL_HINTS.image_size or (0, 0)
    features = {"observation.state": {"type": "STATE", "shape": [14]}} | {
        f"observation.images.{name}": {"type": "VISUAL", "shape": [3, *size]}
        for name in ORIGINAL_HINTS.cameras
    }
    return golden.draw(ORIGINAL, index, features)
