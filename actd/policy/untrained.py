"""Writes a checkpoint of an untrained policy: LeRobot's layout, seeded weights.

For tests, benchmarks and a demo without a trained policy. The weights are drawn
from numpy's PCG64; the decoder's queries are slow waves that close over the
chunk, and the action head is scaled to them, so that a chunk is a smooth wave of
about one standard deviation of each joint instead of noise. Such a policy moves
an arm visibly and means nothing. Raises OSError when the folder cannot be written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.policy.checkpoint import load_checkpoint
from actd.policy.config import ACTION_KEY, STATE_KEY
from actd.policy.files import CONFIG, WEIGHTS
from actd.policy.formats.lerobot_0_4 import POSTPROCESSOR, PREPROCESSOR
from actd.policy.normalization import IMAGENET
from actd.policy.spec import IMAGE_PREFIX, Architecture, Feature, PolicySpec

Floats = NDArray[np.float32]

_CYCLES = (1, 2)
_QUERY_AMPLITUDE = 2.0
_WAVE_STD = 0.5
# The first part that a tensor's name contains sets its scale. Branches beside a skip are kept
# small and attention soft, as training leaves them: rounding must not grow on its way through.
_GAINS = (
    ("conv2", 0.4),
    ("conv3", 0.4),
    ("backbone.conv1", 1.4),
    ("backbone", 1.0),
    ("encoder.layers", 0.7),
    ("out_proj", 0.7),
    ("linear2", 0.7),
)
_PRE_STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
_POST_STATE = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
_NORM_MAP = {"VISUAL": "MEAN_STD", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}


def write_untrained(
    folder: str | Path,
    *,
    cameras: Mapping[str, tuple[int, int]],
    action_dim: int = 14,
    state_dim: int = 14,
    chunk_size: int = 100,
    n_action_steps: int | None = None,
    temporal_ensemble_coeff: float | None = None,
    seed: int = 0,
    vision_backbone: str = "resnet18",
    dim_model: int = 512,
    n_heads: int = 8,
    dim_feedforward: int = 3200,
    n_encoder_layers: int = 4,
    n_decoder_layers: int = 1,
    action_mean: Sequence[float] | None = None,
    action_std: Sequence[float] | None = None,
    state_mean: Sequence[float] | None = None,
    state_std: Sequence[float] | None = None,
) -> Path:
    """Write a checkpoint into `folder` (made if absent) and return it.

    `cameras` maps short names to (height, width). Statistics are in physical units,
    one value per joint; their defaults are mean 0 and std 1. `n_action_steps` defaults
    to the whole chunk, or to 1 with a `temporal_ensemble_coeff`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    steps = n_action_steps or (chunk_size if temporal_ensemble_coeff is None else 1)
    spec = PolicySpec(
        inputs=(
            Feature(STATE_KEY, "STATE", (state_dim,)),
            *(Feature(IMAGE_PREFIX + n, "VISUAL", (3, *size)) for n, size in cameras.items()),
        ),
        action=Feature(ACTION_KEY, "ACTION", (action_dim,)),
        chunk_size=chunk_size,
        n_action_steps=steps,
        temporal_ensemble_coeff=temporal_ensemble_coeff,
        architecture=Architecture(
            vision_backbone=vision_backbone,
            replace_final_stride_with_dilation=False,
            pre_norm=False,
            dim_model=dim_model,
            n_heads=n_heads,
            dim_feedforward=dim_feedforward,
            feedforward_activation="relu",
            n_encoder_layers=n_encoder_layers,
            n_decoder_layers=n_decoder_layers,
            latent_dim=32,
        ),
    )
    statistics = _image_statistics(spec)
    statistics |= _vector_statistics(STATE_KEY, state_dim, state_mean, state_std)
    statistics |= _vector_statistics(ACTION_KEY, action_dim, action_mean, action_std)
    _write_json(folder / CONFIG, _config(spec))
    _write_processors(folder, spec, statistics)
    tensors = _weights(spec, seed)
    _write_tensors(folder / WEIGHTS, tensors)
    _scale_action_head(folder, tensors, seed)
    _write_tensors(folder / WEIGHTS, tensors)
    return folder


def _weights(spec: PolicySpec, seed: int) -> dict[str, Floats]:
    """Every tensor of the network, drawn in the order of the network's own names."""
    from actd.policy.network import tensor_shapes

    random = np.random.Generator(np.random.PCG64(seed))
    tensors = {key: _draw(key, shape, random) for key, shape in tensor_shapes(spec).items()}
    dim = spec.architecture.dim_model
    tensors["decoder_pos_embed.weight"] = _slow_waves(spec.chunk_size, dim, random)
    # The latent token is a constant: attention that swings between it and what is seen
    # gives each chunk a wave of its own, which the observation bends but does not drown.
    tensors["encoder_latent_input_proj.bias"] = random.standard_normal(dim, dtype=np.float32)
    tensors["encoder_img_feat_input_proj.bias"] = random.standard_normal(dim, dtype=np.float32)
    return tensors


def _draw(key: str, shape: tuple[int, ...], random: np.random.Generator) -> Floats:
    """One tensor at the scale that keeps signals near unit size through the network."""
    leaf = key.rsplit(".", 1)[-1]
    if len(shape) == 1:
        ones = leaf in ("running_var", "weight")
        return np.full(shape, 1.0 if ones else 0.0, np.float32)
    if "pos_embed" in key:
        return random.standard_normal(shape, dtype=np.float32)
    gain = next((gain for part, gain in _GAINS if part in key), 1.4)
    scale = np.float32(gain / math.sqrt(math.prod(shape[1:])))
    tensor: Floats = random.standard_normal(shape, dtype=np.float32) * scale
    return tensor


def _slow_waves(rows: int, dim: int, random: np.random.Generator) -> Floats:
    """(rows, dim) of a few whole cycles each, so that the last row leads into the first."""
    phase = 2 * math.pi * np.arange(rows) / rows
    waves = np.zeros((rows, dim))
    for cycles in _CYCLES:
        size = random.standard_normal((2, dim)) / cycles
        waves += np.outer(np.sin(cycles * phase), size[0])
        waves += np.outer(np.cos(cycles * phase), size[1])
    scaled: Floats = (_QUERY_AMPLITUDE * waves / waves.std()).astype(np.float32)
    return scaled


def _scale_action_head(folder: Path, tensors: dict[str, Floats], seed: int) -> None:
    """Scale and centre the last layer on what it gives, in place: about unit waves around 0."""
    from actd.policy.network import Policy
    from actd.policy.synthetic import synthetic

    checkpoint = load_checkpoint(folder)
    policy = Policy(checkpoint)
    action = checkpoint.statistics[ACTION_KEY]
    frames = synthetic(checkpoint, count=2, seed=seed)
    chunks = [(policy.infer(f) - action["mean"]) / action["std"] for f in frames]
    wave = np.mean([chunk.std(axis=0) for chunk in chunks], axis=0)
    centre = np.mean(chunks, axis=(0, 1))
    # few digits, so that another machine's rounding gives the same file
    gain = np.array([float(f"{_WAVE_STD / max(w, 1e-6):.2g}") for w in wave], np.float32)
    tensors["action_head.weight"] = tensors["action_head.weight"] * gain[:, None]
    tensors["action_head.bias"] = -np.round(centre * gain, 2).astype(np.float32)


def _image_statistics(spec: PolicySpec) -> dict[str, Floats]:
    return {
        f"{camera.key}.{stat}": np.array(value, np.float32).reshape(3, 1, 1)
        for camera in spec.cameras
        for stat, value in IMAGENET.items()
    }


def _vector_statistics(
    key: str, size: int, mean: Sequence[float] | None, std: Sequence[float] | None
) -> dict[str, Floats]:
    given = {
        "mean": [0.0] * size if mean is None else mean,
        "std": [1.0] * size if std is None else std,
    }
    for stat, values in given.items():
        if len(values) != size:
            raise ValueError(f"{key}: {stat} has {len(values)} values, need {size}")
    return {f"{key}.{stat}": np.array(v, np.float32) for stat, v in given.items()}


def _features(*features: Feature) -> dict[str, Any]:
    return {f.key: {"type": f.kind, "shape": list(f.shape)} for f in features}


def _config(spec: PolicySpec) -> dict[str, Any]:
    return {
        "type": "act",
        "n_obs_steps": 1,
        "input_features": _features(*spec.inputs),
        "output_features": _features(spec.action),
        "chunk_size": spec.chunk_size,
        "n_action_steps": spec.n_action_steps,
        "temporal_ensemble_coeff": spec.temporal_ensemble_coeff,
        "normalization_mapping": _NORM_MAP,
        "use_vae": False,
        **asdict(spec.architecture),
    }


def _write_processors(folder: Path, spec: PolicySpec, statistics: Mapping[str, Floats]) -> None:
    def step(name: str, state_file: str, *features: Feature) -> dict[str, Any]:
        config = {"eps": 1e-8, "features": _features(*features), "norm_map": _NORM_MAP}
        return {"registry_name": name, "config": config, "state_file": state_file}

    rename = {"registry_name": "rename_observations_processor", "config": {"rename_map": {}}}
    batch = {"registry_name": "to_batch_processor", "config": {}}
    device = {
        "registry_name": "device_processor",
        "config": {"device": "cpu", "float_dtype": None},
    }
    normalize = step("normalizer_processor", _PRE_STATE, *spec.inputs, spec.action)
    unnormalize = step("unnormalizer_processor", _POST_STATE, spec.action)
    pipelines = {
        PREPROCESSOR: [rename, batch, device, normalize],
        POSTPROCESSOR: [unnormalize, device],
    }
    for name, steps in pipelines.items():
        _write_json(folder / name, {"name": Path(name).stem, "steps": steps})
    for name in (_PRE_STATE, _POST_STATE):
        _save(folder / name, statistics)


def _write_json(file: Path, data: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _write_tensors(file: Path, tensors: Mapping[str, Floats]) -> None:
    _save(file, {f"model.{key}": tensor for key, tensor in tensors.items()})


def _save(file: Path, tensors: Mapping[str, Floats]) -> None:
    from safetensors.numpy import save_file

    save_file({key: np.ascontiguousarray(tensor) for key, tensor in tensors.items()}, file)
