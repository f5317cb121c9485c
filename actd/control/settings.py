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
    `turn` of a continuous joint, else 0; the range of the training data (-inf, inf: unknown).
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
    max_age: MaxAge
    ease_in_ns: int

    def __post_init__(self) -> None:
        """Raises ValueError where not every joint has a value of each kind."""
        vectors = {**asdict(self.limits), **{name: getattr(self, name) for name in _PER_JOINT}}
        sizes = {name: len(value) for name, value in vectors.items()}
        sizes["chunk.action_dim"] = self.chunk.action_dim
        for name, size in sizes.items():
            if not 0 < size == len(self.joints):
                raise ValueError(f"{name}: {size} values for {len(self.joints)} joints")
        if not 0 < self.period_ns <= 10**10:
            raise ValueError(f"period_ns: {self.period_ns}")
