"""What was trained, as plain data: features, shapes, chunk and architecture.

Owns no tensors and imports neither torch nor any runtime, so the robot side
can read it from an engine's manifest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Literal

from actd.demonstrations import Demonstrations, FeatureStatistics

FeatureKind = Literal["STATE", "ENV", "VISUAL", "ACTION"]

IMAGE_PREFIX = "observation.images."

Range = tuple[tuple[float, ...], tuple[float, ...]]

# No count or size of a policy comes near it.
SIZE_MAX = 1 << 20
# Means further apart than this many standard deviations, or deviations by this factor, are no
# sample's of one dataset; degrees are 57 radians.
_APART_STD = 4.0
_APART_FACTOR = 8.0


@dataclass(frozen=True, slots=True)
class Feature:
    """One named input or output of the policy.

    `shape` is as the checkpoint states it: (3, H, W) for a camera, (D,) otherwise.
    At the engine's boundary a camera is uint8 RGB (H, W, 3) and a vector float32 (D,).
    """

    key: str
    kind: FeatureKind
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises ValueError for a shape that its kind cannot have."""
        rank = 3 if self.kind == "VISUAL" else 1
        if len(self.shape) != rank or not all(0 < size < SIZE_MAX for size in self.shape):
            raise ValueError(f"{self.key}: {self.kind} of shape {list(self.shape)}")

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
class Training:
    """Where a policy comes from. None is "not known".

    `fps` is the dataset's rate; `robot_type` is what LeRobot calls the robot that recorded it.
    """

    dataset: str | None = None
    dataset_revision: str | None = None
    robot_type: str | None = None
    step: int | None = None
    batch_size: int | None = None
    fps: float | None = None


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """Everything the robot side needs to know of a policy.

    `inputs` keeps the checkpoint's order, which is the network's token order.
    `temporal_ensemble_coeff` None means the policy was configured for a queue of
    `n_action_steps`. `trained_hz` is the rate of the training data, None when unknown.
    `statistics` of the training data by the key of each vector input and of the action, in
    physical units, and of each camera, of values from 0 to 1, one for each channel; a feature or
    statistic that is not known is left out. They are not compared:
    specifications are equal when the policies take and give the same. `names` of the numbers of
    each of these features, by its key, where the dataset gives one for each; not compared either.
    """

    inputs: tuple[Feature, ...]
    action: Feature
    chunk_size: int
    n_action_steps: int
    temporal_ensemble_coeff: float | None
    architecture: Architecture
    trained_hz: float | None = None
    statistics: Mapping[str, FeatureStatistics] = field(default_factory=dict, compare=False)
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Raises ValueError for impossible counts, and statistics that are not of its features."""
        if not 0 < self.chunk_size < SIZE_MAX or not 0 < self.n_action_steps < SIZE_MAX:
            raise ValueError(f"chunk_size: {self.chunk_size}, {self.n_action_steps} steps used")
        for name, value in (
            ("temporal_ensemble_coeff", self.temporal_ensemble_coeff),
            ("trained_hz", self.trained_hz),
        ):
            if value is not None and not abs(value) < 1e9:
                raise ValueError(f"{name}: {value}")
        sizes = self._sizes() | {camera.key: camera.shape[0] for camera in self.cameras}
        for key, known in self.statistics.items():
            size = sizes.get(key, 0)
            for name, values in known.items():
                if len(values) != size or not all(map(isfinite, values)):
                    raise ValueError(f"statistics.{key}.{name}: need {size} finite numbers")
        for key, names in self.names.items():
            size = self._sizes().get(key, 0)
            if len(names) != size:
                raise ValueError(f"names.{key}: need {size} names")

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

    def trained_range(self, key: str) -> Range | None:
        """Smallest and largest of each number of a vector in training, None where not known."""
        known = self.statistics.get(key, {})
        for low, high in (("min", "max"), ("q01", "q99")):
            if low in known and high in known:
                return known[low], known[high]
        return None

    def likely_range(self, key: str) -> Range | None:
        """`trained_range`, or where only mean and std are known: three std around the mean."""
        known = self.statistics.get(key, {})
        trained = self.trained_range(key)
        if trained is not None or "mean" not in known or "std" not in known:
            return trained
        pairs = tuple(zip(known["mean"], known["std"], strict=True))
        return tuple(m - 3 * s for m, s in pairs), tuple(m + 3 * s for m, s in pairs)

    def unlike(self, demonstrations: Demonstrations) -> str:
        """How a dataset differs from the one that the policy was trained on, "" if it may be it."""
        for key, size in self._sizes().items():
            other = demonstrations.statistics.get(key, {}).get("mean")
            if key == self.action.key and (other is None or len(other) != size):
                return f"{key}: {len(other or ())} values, the policy has {size}"
            if other is None or len(other) != size:
                continue
            for number in range(size):
                if words := self._apart(key, number, demonstrations):
                    return words
        return ""

    def completed(self, demonstrations: Demonstrations) -> PolicySpec:
        """What the policy's own files do not say, as the dataset that it was trained on does."""
        sizes = self._sizes()
        of_images = {camera.key: camera.shape[0] for camera in self.cameras}
        statistics = {
            key: {**other, **self.statistics.get(key, {})}
            for key, other in demonstrations.statistics.items()
            if (sizes | of_images).get(key) == len(other["mean"])
        }
        names = {
            key: other
            for key, other in demonstrations.names.items()
            if sizes.get(key) == len(other)
        }
        return replace(
            self,
            trained_hz=self.trained_hz or demonstrations.motion.fps,
            statistics={**self.statistics, **statistics},
            names={**names, **self.names},
        )

    def _sizes(self) -> dict[str, int]:
        return {feature.key: feature.shape[0] for feature in (*self.vectors, self.action)}

    def _apart(self, key: str, number: int, demonstrations: Demonstrations) -> str:
        """A sentence where one number's mean and std cannot be of the same rows."""
        ours, theirs = self.statistics.get(key, {}), demonstrations.statistics[key]
        if "mean" not in ours or "std" not in ours:
            return ""
        mean, std = ours["mean"][number], ours["std"][number]
        other_mean, other_std = theirs["mean"][number], theirs["std"][number]
        small, large = sorted((std, other_std))
        if abs(mean - other_mean) <= _APART_STD * large + 1e-3 and (
            large <= _APART_FACTOR * small + 1e-3
        ):
            return ""
        names = self.names.get(key) or demonstrations.names.get(key) or ()
        name = names[number] if number < len(names) else str(number)
        return (
            f"{key}: {name} is {other_mean:.3g} ± {other_std:.2g} there, and {mean:.3g} ± "
            f"{std:.2g} in the policy's training"
        )
