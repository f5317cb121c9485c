"""The configuration that `actd export` writes beside an engine, as LeRobot reads it."""

from __future__ import annotations

from dataclasses import dataclass

from lerobot.configs.policies import PreTrainedConfig

_NOT_TRAINED = "an engine is not trained; train the checkpoint, then `actd export` it again"


@PreTrainedConfig.register_subclass("actd")
@dataclass
class ActdConfig(PreTrainedConfig):  # type: ignore[misc]
    """How an engine's chunks are read: `n_action_steps` of each, or LeRobot's temporal ensemble.

    Both may be overridden on the command line: `--policy.n_action_steps=25`.
    """

    chunk_size: int = 100
    n_action_steps: int = 100
    temporal_ensemble_coeff: float | None = None

    def __post_init__(self) -> None:
        """Raises ValueError for what no engine can do."""
        super().__post_init__()
        if not 0 < self.n_action_steps <= self.chunk_size:
            raise ValueError(
                f"n_action_steps: {self.n_action_steps}; give 1 to {self.chunk_size} (chunk_size)"
            )
        if self.temporal_ensemble_coeff is not None and self.n_action_steps != 1:
            raise ValueError(
                f"n_action_steps: {self.n_action_steps}; a temporal ensemble infers at every step: "
                "give 1"
            )

    @property
    def observation_delta_indices(self) -> None:
        """One observation at a time."""
        return None

    @property
    def action_delta_indices(self) -> list[int]:
        """Every row of a chunk."""
        return list(range(self.chunk_size))

    @property
    def reward_delta_indices(self) -> None:
        """None."""
        return None

    def validate_features(self) -> None:
        """The engine itself checks every observation."""

    def get_optimizer_preset(self) -> None:
        """Raises NotImplementedError: an engine is not trained."""
        raise NotImplementedError(_NOT_TRAINED)

    def get_scheduler_preset(self) -> None:
        """Raises NotImplementedError: an engine is not trained."""
        raise NotImplementedError(_NOT_TRAINED)
