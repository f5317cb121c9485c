"""What a checkpoint is, for people and for scripts, before anything is built from it.

Reads an opened checkpoint; computes nothing from its tensors. Cannot fail on an opened checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from actd.policy.checkpoint import Opened
from actd.policy.config import STATE_KEY
from actd.policy.normalization import is_imagenet
from actd.policy.spec import Feature, PolicySpec, Training


@dataclass(frozen=True, slots=True)
class Description:
    """An opened checkpoint and the command that makes an engine of it."""

    opened: Opened
    next_command: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; what is not known is null or an empty list."""
        stored, training = self.opened.stored, self.opened.files.training
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
            "joints": list(spec.names.get(spec.action.key, ())),
            "state_names": list(spec.names.get(STATE_KEY, ())),
            "training": asdict(training),
            "notes": list(stored.notes),
            "warnings": list(self.opened.warnings),
            "next": self.next_command,
        }

    @property
    def parameters(self) -> int:
        """Numbers that inference reads: training-only tensors do not count."""
        return sum(math.prod(shape) for shape in self.opened.stored.weights.shapes.values())

    def lines(self) -> Iterator[str]:
        """The same for people."""
        stored = self.opened.stored
        spec, normalization = stored.spec, stored.normalization
        yield f"recognised  {self.opened.recognised}"
        for feature in (*spec.inputs, spec.action):
            side = "output" if feature is spec.action else "input"
            mode = normalization.modes[feature.key]
            known = " (ImageNet)" if is_imagenet(normalization.statistics[feature.key]) else ""
            shape = "x".join(map(str, feature.shape))
            yield f"{side:<11} {feature.key:<34} {feature.kind:<7} {shape:<12} {mode}{known}"
        yield f"chunk       {spec.chunk_size} rows, {spec.n_action_steps} of them executed"
        yield f"ensembling  {_ensembling(spec)}"
        yield f"network     {_network(spec)}"
        size = stored.weights.file.stat().st_size / 1e6
        yield f"parameters  {self.parameters / 1e6:.1f} M for inference; file {size:.1f} MB"
        hz = spec.trained_hz
        yield f"fps         {'not known: see the dataset' if hz is None else f'{hz:g}'}"
        yield f"joints      {', '.join(spec.names.get(spec.action.key, ())) or 'names not known'}"
        yield f"training    {_training(self.opened.files.training)}"
        for note in stored.notes:
            yield f"note: {note}"
        for warning in self.opened.warnings:
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
        "revision": training.dataset_revision,
        "robot": training.robot_type,
        "step": training.step,
        "batch size": training.batch_size,
    }
    return ", ".join(f"{k} {v}" for k, v in known.items() if v is not None) or "not known"
