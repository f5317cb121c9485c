"""What was trained, as plain data: features, shapes, chunk and architecture.

Owns no tensors and imports neither torch nor any runtime, so the robot side
can read it from an engine's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

FeatureKind = Literal["STATE", "ENV", "VISUAL", "ACTION"]

IMAGE_PREFIX = "observation.images."


@dataclass(frozen=True, slots=True)
class Feature:
    """One named input or output of the policy.

    `shape` is as the checkpoint states it: (3, H, W) for a camera, (D,) otherwise.
    At the engine's boundary a camera is uint8 RGB (H, W, 3) and a vector float32 (D,).
    """

    key: str
    kind: FeatureKind
    shape: tuple[int, ...]

    @property
    def camera(self) -> str:
        """The camera's short name: `observation.images.cam_high` -> `cam_high`."""
        return self.key.removeprefix(IMAGE_PREFIX)

    @property
    def boundary_shape(self) -> tuple[int, ...]:
        """Shape at the engine's boundary: (H, W, 3) for a camera, (D,) otherwise."""
        if self.kind == "VISUAL":
            channels, height, width = self.shape
            return (height, width, channels)
        return self.shape

    @property
    def boundary_dtype(self) -> str:
        """Type of its elements at the engine's boundary, by the name numpy and torch share."""
        return "uint8" if self.kind == "VISUAL" else "float32"


@dataclass(frozen=True, slots=True)
class Architecture:
    """The network's hyper-parameters, named as LeRobot's ACTConfig names them."""

    vision_backbone: str
    replace_final_stride_with_dilation: bool
    pre_norm: bool
    dim_model: int
    n_heads: int
    dim_feedforward: int
    feedforward_activation: str
    n_encoder_layers: int
    n_decoder_layers: int
    latent_dim: int


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Everything the robot side needs to know of a policy.

    `inputs` keeps the checkpoint's order, which is the network's token order.
    `temporal_ensemble_coeff` None means the policy was configured for a queue of
    `n_action_steps`. `trained_hz` is the rate of the training data, None when unknown.
    """

    inputs: tuple[Feature, ...]
    action: Feature
    chunk_size: int
    n_action_steps: int
    temporal_ensemble_coeff: float | None
    architecture: Architecture
    trained_hz: float | None = None

    @property
    def cameras(self) -> tuple[Feature, ...]:
        """The VISUAL inputs in token order."""
        return tuple(f for f in self.inputs if f.kind == "VISUAL")

    @property
    def vectors(self) -> tuple[Feature, ...]:
        """The STATE and ENV inputs."""
        return tuple(f for f in self.inputs if f.kind != "VISUAL")

    @property
    def action_dim(self) -> int:
        """Joints per action row."""
        return self.action.shape[0]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON data; `from_dict` is its inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PolicySpec:
        """Read what `to_dict` wrote. Raises KeyError/TypeError/ValueError on anything else."""
        return cls(
            inputs=tuple(_feature(f) for f in data["inputs"]),
            action=_feature(data["action"]),
            chunk_size=int(data["chunk_size"]),
            n_action_steps=int(data["n_action_steps"]),
            temporal_ensemble_coeff=data["temporal_ensemble_coeff"],
            architecture=Architecture(**data["architecture"]),
            trained_hz=data.get("trained_hz"),
        )


def _feature(data: Mapping[str, Any]) -> Feature:
    return Feature(data["key"], data["kind"], tuple(int(n) for n in data["shape"]))
