"""LeRobot's processors around an engine: rename, add a batch; normalisation is in the engine."""

from __future__ import annotations

from typing import Any

from lerobot.processor import (
    AddBatchDimensionProcessorStep,
    DeviceProcessorStep,
    PolicyProcessorPipeline,
    RenameObservationsProcessorStep,
)
from lerobot.processor.converters import policy_action_to_transition, transition_to_policy_action

from lerobot_policy_actd.configuration_actd import ActdConfig


def make_actd_pre_post_processors(
    config: ActdConfig,
    dataset_stats: Any = None,
) -> tuple[Any, Any]:
    """The same as in the engine's folder; `dataset_stats` are the engine's own already."""
    return (
        PolicyProcessorPipeline(
            steps=[
                RenameObservationsProcessorStep(rename_map={}),
                AddBatchDimensionProcessorStep(),
                DeviceProcessorStep(device=config.device or "cpu"),
            ],
            name="policy_preprocessor",
        ),
        PolicyProcessorPipeline(
            steps=[DeviceProcessorStep(device="cpu")],
            name="policy_postprocessor",
            to_transition=policy_action_to_transition,
            to_output=transition_to_policy_action,
        ),
    )
