"""What a checkpoint is, for people and for scripts, before anything is built from it.

Reads an opened checkpoint; computes nothing from its tensors. Warnings are facts that
change how an arm behaves and that no error stops. Cannot fail on an opened checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from actd.policy.checkpoint import Opened
from actd.policy.config import STATE_KEY
from actd.policy.normalization import IMAGENET, MODE_STATISTICS, Statistics
from actd.policy.spec import Feature, PolicySpec
from actd.policy.training import Training

_STILL = 1e-4


@dataclass(frozen=True, slots=True)
class Description:
    """An opened checkpoint and the command that makes an engine of it."""

    opened: Opened
    next_command: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; what is not known is null or an empty list."""
        stored, training = self.opened.stored, self.opened.training
        spec, modes = stored.spec, stored.normalization.modes
        return {
            "folder": str(stored.folder),
            "checkpoint_format": self.opened.checkpoint_format.name,
            "recognised": self.opened.recognised,
            "inputs": [_feature(f, modes) for f in spec.inputs],
            "action": _feature(spec.action, modes),
            "cameras": [f.camera for f in spec.cameras],
            "chunk_size": spec.chunk_size,
            "n_action_steps": spec.n_action_steps,
            "temporal_ensemble_coeff": spec.temporal_ensemble_coeff,
            "architecture": asdict(spec.architecture),
            "parameters": self.parameters,
            "size_bytes": stored.weights.file.stat().st_size,
            "fps": spec.trained_hz,
            "joints": list(training.joints),
            "state_names": list(training.states),
            "training": {
                "dataset": training.dataset,
                "step": training.step,
                "batch_size": training.batch_size,
            },
            "notes": list(stored.notes),
            "warnings": list(self.warnings),
            "next": self.next_command,
        }

    @property
    def parameters(self) -> int:
        """Numbers that inference reads: training-only tensors do not count."""
        return sum(math.prod(shape) for shape in self.opened.stored.weights.shapes.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before an arm moves by this checkpoint."""
        stored = self.opened.stored
        spec, normalization = stored.spec, stored.normalization
        return (
            *_image_warnings(spec, normalization.modes, normalization.statistics),
            *_vector_warnings(spec, self.opened.training),
            *_still_warnings(spec, normalization.modes, normalization.statistics),
        )

    def lines(self) -> Iterator[str]:
        """The same for people."""
        stored = self.opened.stored
        spec, normalization = stored.spec, stored.normalization
        yield f"recognised  {self.opened.recognised}"
        for feature in (*spec.inputs, spec.action):
            side = "output" if feature is spec.action else "input"
            mode = normalization.modes[feature.key]
            known = " (ImageNet)" if _is_imagenet(normalization.statistics[feature.key]) else ""
            shape = "x".join(map(str, feature.shape))
            yield f"{side:<11} {feature.key:<34} {feature.kind:<7} {shape:<12} {mode}{known}"
        yield f"chunk       {spec.chunk_size} rows, {spec.n_action_steps} of them executed"
        yield f"ensembling  {_ensembling(spec)}"
        yield f"network     {_network(spec)}"
        size = stored.weights.file.stat().st_size / 1e6
        yield f"parameters  {self.parameters / 1e6:.1f} M for inference; file {size:.1f} MB"
        hz = spec.trained_hz
        yield f"fps         {'not known: see the dataset' if hz is None else f'{hz:g}'}"
        yield f"joints      {', '.join(self.opened.training.joints) or 'names not known'}"
        yield f"training    {_training(self.opened.training)}"
        for note in stored.notes:
            yield f"note: {note}"
        for warning in self.warnings:
            yield f"warning: {warning}"
        yield f"next: {self.next_command}"


def _feature(feature: Feature, modes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "key": feature.key,
        "type": feature.kind,
        "shape": list(feature.shape),
        "normalization": modes[feature.key],
    }


def _ensembling(spec: PolicySpec) -> str:
    m = spec.temporal_ensemble_coeff
    if m is None:
        return f"none: a queue of {spec.n_action_steps} actions, then the next chunk"
    favours = "the oldest prediction most" if m > 0 else "the newest prediction most"
    return f"coefficient {m:g}: {'all predictions alike' if m == 0 else favours}, exp(-{m:g} i)"


def _network(spec: PolicySpec) -> str:
    a = spec.architecture
    dilated = " dilated" if a.replace_final_stride_with_dilation else ""
    seen = f"{a.vision_backbone}{dilated}" if spec.cameras else "no backbone"
    layers = f"{a.n_encoder_layers}+{a.n_decoder_layers} layers"
    norm = "norm first" if a.pre_norm else "norm last"
    return (
        f"{seen}, {layers}, width {a.dim_model}, {a.n_heads} heads, "
        f"{a.dim_feedforward} {a.feedforward_activation}, {norm}"
    )


def _training(training: Training) -> str:
    known = {
        "dataset": training.dataset,
        "step": training.step,
        "batch size": training.batch_size,
    }
    return ", ".join(f"{k} {v}" for k, v in known.items() if v is not None) or "not known"


def _is_imagenet(statistics: Statistics) -> bool:
    return all(
        stat in statistics
        and statistics[stat].shape == (3,)
        and np.allclose(np.sort(statistics[stat]), np.sort(values), atol=5e-4)
        for stat, values in IMAGENET.items()
    )


def _image_warnings(
    spec: PolicySpec, modes: Mapping[str, str], statistics: Mapping[str, Statistics]
) -> Iterator[str]:
    for camera in spec.cameras:
        if modes[camera.key] == "MEAN_STD" and not _is_imagenet(statistics[camera.key]):
            yield f"{camera.key}: its mean and std are not ImageNet's but its dataset's"
        if modes[camera.key] == "IDENTITY":
            yield f"{camera.key}: pixels of 0 to 1 are not normalised"
    alike = [
        camera.camera
        for camera in spec.cameras
        if sum(_alike(camera, other, modes, statistics) for other in spec.cameras) > 1
    ]
    if alike:
        names = ", ".join(alike)
        yield f"cameras {names}: exchanging equal ones cannot be noticed and changes nothing"


def _alike(
    a: Feature, b: Feature, modes: Mapping[str, str], statistics: Mapping[str, Statistics]
) -> bool:
    needed = MODE_STATISTICS[modes[a.key]]
    return (
        a.shape == b.shape
        and modes[a.key] == modes[b.key]
        and all(np.array_equal(statistics[a.key][s], statistics[b.key][s]) for s in needed)
    )


def _vector_warnings(spec: PolicySpec, training: Training) -> Iterator[str]:
    states = next((f.shape[0] for f in spec.vectors if f.key == STATE_KEY), None)
    if states is None:
        yield f"no {STATE_KEY}: the policy does not feel where the arm is"
    elif states != spec.action_dim:
        yield f"{STATE_KEY} has {states} values, action {spec.action_dim}: they are not one to one"
    if training.joints and len(training.joints) != spec.action_dim:
        yield (
            f"dataset {training.dataset} names {len(training.joints)} joints, "
            f"the policy has {spec.action_dim}: not the dataset it was trained on"
        )
    if spec.temporal_ensemble_coeff is None and spec.n_action_steps == 1 < spec.chunk_size:
        yield "n_action_steps 1 without ensembling: jerky, and rarely successful; consider more"


def _still_warnings(
    spec: PolicySpec, modes: Mapping[str, str], statistics: Mapping[str, Statistics]
) -> Iterator[str]:
    """Values that never changed in training: any change is seen as enormous, or not at all."""
    for feature in (*spec.vectors, spec.action):
        mode, values = modes[feature.key], statistics[feature.key]
        if mode == "IDENTITY":
            continue
        low, high = (values[name] for name in MODE_STATISTICS[mode])
        spread = high if mode == "MEAN_STD" else high - low
        if still := [str(i) for i in np.flatnonzero(np.abs(spread) < _STILL)]:
            yield f"{feature.key}: values {', '.join(still)} never changed in training"
