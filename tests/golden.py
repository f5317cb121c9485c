"""Golden ACT checkpoints, rebuilt from names.

Every weight, statistic and observation of a golden case is drawn from numpy's
PCG64 stream, seeded by the CRC of its own name, so the repository carries only
configurations, tensor shapes and the actions that LeRobot 0.4.4, or the original ACT,
gave for them.
"""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

DATA = Path(__file__).with_name("golden")
CASES = ("two_cameras", "odd_size_min_max", "resnet50_dilated", "mixed_sizes_pre_norm_env")
OBSERVATIONS = 3

Array = np.ndarray[Any, Any]


def _stream(name: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def weight(name: str, shape: tuple[int, ...]) -> Array:
    """The float32 tensor that belongs to a state-dict key (with its `model.`)."""
    *path, leaf = name.split(".")
    x = _stream(name).standard_normal(shape, dtype=np.float32)
    in_norm = any(part.startswith(("bn", "norm")) or part == "downsample" for part in path)
    if leaf == "running_var":
        return (1.0 + 0.1 * np.abs(x)).astype(np.float32)
    if leaf == "weight" and len(shape) == 1 and in_norm:
        return (1.0 + 0.1 * x).astype(np.float32)
    if leaf in ("running_mean", "bias", "in_proj_bias"):
        return (0.1 * x).astype(np.float32)
    if "pos_embed" in name:
        return x
    fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else shape[0]
    return (x * np.float32(1.4 / np.sqrt(fan_in))).astype(np.float32)


def statistics(feature: str, shape: tuple[int, ...]) -> dict[str, Array]:
    """mean, std, min and max of a feature; cameras carry ImageNet's."""
    if ".images." in feature:
        mean = np.array([0.485, 0.456, 0.406], np.float32).reshape(3, 1, 1)
        std = np.array([0.229, 0.224, 0.225], np.float32).reshape(3, 1, 1)
        return {"mean": mean, "std": std, "min": np.zeros_like(mean), "max": np.ones_like(mean)}
    stream = _stream("stats:" + feature)
    mean = stream.uniform(-0.5, 0.5, shape).astype(np.float32)
    std = stream.uniform(0.2, 0.8, shape).astype(np.float32)
    return {"mean": mean, "std": std, "min": mean - 2 * std, "max": mean + 2 * std}


def _image(stream: np.random.Generator, height: int, width: int) -> Array:
    """Waves plus noise: resizing, colour order and borders would all show."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    phase = stream.uniform(0, 6.28, 3)
    waves = [127 + 90 * np.sin(x / 17 + y / (9 + c) + phase[c]) for c in range(3)]
    noise = stream.integers(-25, 26, (height, width, 3))
    return np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def observation(case: str, index: int) -> dict[str, Array]:
    """Observation `index` of a case, by feature name, as an engine takes it."""
    return draw(case, index, config(case)["input_features"])


def draw(case: str, index: int, features: dict[str, Any]) -> dict[str, Array]:
    """The same for features that no config.json lists."""
    out: dict[str, Array] = {}
    for name, feature in features.items():
        shape = tuple(feature["shape"])
        stream = _stream(f"obs:{case}:{index}:{name}")
        if feature["type"] == "VISUAL":
            out[name] = _image(stream, *shape[1:])
        else:
            known = statistics(name, shape)
            drawn = known["mean"] + known["std"] * stream.standard_normal(shape)
            out[name] = drawn.astype(np.float32)
    return out


def config(case: str) -> dict[str, Any]:
    """The case's config.json."""
    loaded: dict[str, Any] = json.loads((DATA / case / "config.json").read_text())
    return loaded


def expected(case: str) -> Array:
    """LeRobot's actions for the case's observations: (3, chunk, joints), physical units."""
    with np.load(DATA / case / "expected.npz") as stored:
        return np.asarray(stored["actions"])


def write_checkpoint(case: str, folder: Path) -> Path:
    """Rebuild the case's checkpoint in `folder` and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    shapes = json.loads((DATA / case / "state_dict_shapes.json").read_text())
    weights = {key: weight(key, tuple(shape)) for key, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors")
    shutil.copy(DATA / case / "config.json", folder)
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        shutil.copy(DATA / case / name, folder)
        for step in json.loads((DATA / case / name).read_text())["steps"]:
            if "state_file" in step:
                save_file(_state(step["config"]["features"]), folder / step["state_file"])
    return folder


def _state(features: dict[str, Any]) -> dict[str, Array]:
    return {
        f"{name}.{stat}": np.ascontiguousarray(values)
        for name, feature in features.items()
        for stat, values in statistics(name, tuple(feature["shape"])).items()
    }
