"""What the decision of a tick depends on, besides its inputs."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from actd.arrays import Vector
from actd.control.chunks import ChunkSettings
from actd.control.limits import Kind, Limits
from actd.control.staleness import MaxAge

_PER_JOINT = (
    "kinds",
    "turn",
    "start_distance",
    "follow_distance",
    "trained_low",
    "trained_high",
)


@dataclass(frozen=True, slots=True)
class ControlSettings:
    """Everything the decision depends on, besides the inputs of the tick.

    Per joint, each (action_dim,): `start_distance`, how far the first command may be from the
    measured position; `follow_distance`, how far a command may be ahead of it (inf: not compared);
    `turn` of a continuous joint, else 0; the range of the training data (-inf, inf: unknown); the
    poses `start` and `park`, NaN for a joint that stays where it is, None: there is no such pose.
    """

    joints: tuple[str, ...]
    kinds: tuple[Kind, ...]
    period_ns: int
    ttl_ns: int
    chunk: ChunkSettings
    limits: Limits
    turn: Vector
    start_distance: Vector
    follow_distance: Vector
    follow_ns: int
    trained_low: Vector
    trained_high: Vector
    start: Vector | None
    park: Vector | None
    max_age: MaxAge
    ease_in_ns: int

    def __post_init__(self) -> None:
        """Raises ValueError where not every joint has a value of each kind."""
        given = {"start": self.start, "park": self.park}
        poses = {name: pose for name, pose in given.items() if pose is not None}
        vectors = {**asdict(self.limits), **{name: getattr(self, name) for name in _PER_JOINT}}
        sizes = {name: len(value) for name, value in (vectors | poses).items()}
        sizes["chunk.action_dim"] = self.chunk.action_dim
        for name, size in sizes.items():
            if not 0 < size == len(self.joints):
                raise ValueError(f"{name}: {size} values for {len(self.joints)} joints")
        if not 0 < self.period_ns <= 10**10:
            raise ValueError(f"period_ns: {self.period_ns}")
        for name, pose in poses.items():
            if ((pose < self.limits.lower) | (pose > self.limits.upper)).any():
                raise ValueError(f"{name}: beyond the limits")
