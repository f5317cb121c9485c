"""Runs in LeRobot's environment: a checkpoint and its engine behind LeRobot's own inference.

    python lerobot_policy_side.py CHECKPOINT ENGINE STEPS OUT.npz [--policy.KEY=VALUE ...]

Both go through what `lerobot-record` calls for every frame, on the same observations.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.utils.import_utils import register_third_party_plugins

try:
    from lerobot.common.control_utils import predict_action
except ModuleNotFoundError:  # LeRobot 0.4
    from lerobot.utils.control_utils import predict_action

WARM_UP = 3


def policy_of(path: str, overrides: list[str]) -> tuple[Any, Any, Any]:
    """Policy and processors as `lerobot-record --policy.path=PATH` makes them."""
    config = PreTrainedConfig.from_pretrained(path, cli_overrides=overrides)
    config.pretrained_path = Path(path)
    if config.type == "act":
        config.pretrained_backbone_weights = None  # they are in the checkpoint
    policy = get_policy_class(config.type).from_pretrained(
        pretrained_name_or_path=path, config=config
    )
    policy.to(config.device)
    before, after = make_pre_post_processors(
        policy_cfg=config,
        pretrained_path=path,
        preprocessor_overrides={
            "device_processor": {"device": config.device},
            "rename_observations_processor": {"rename_map": {}},
        },
    )
    return policy, before, after


def observations(config: PreTrainedConfig, steps: int) -> list[dict[str, np.ndarray]]:
    chance = np.random.default_rng(5)
    found = []
    for _ in range(steps):
        one: dict[str, np.ndarray] = {}
        for key, feature in config.input_features.items():
            if len(feature.shape) == 3:
                channels, height, width = feature.shape
                one[key] = chance.integers(0, 256, (height, width, channels), np.uint8)
            else:
                one[key] = chance.normal(size=feature.shape).astype(np.float32)
        found.append(one)
    return found


def actions(parts: tuple[Any, Any, Any], seen: list[dict[str, np.ndarray]]) -> tuple[Any, Any]:
    """Actions (steps, joints) and how long each took, in ms (steps,)."""
    policy, before, after = parts
    for part in parts:
        part.reset()
    chosen, took_ms = [], []
    for observation in seen:
        began = time.perf_counter()
        action = predict_action(
            observation, policy, torch.device("cpu"), before, after, use_amp=False, task="t"
        )
        took_ms.append((time.perf_counter() - began) * 1e3)
        chosen.append(action.squeeze(0).numpy())
    return np.array(chosen), np.array(took_ms)


def main() -> None:
    checkpoint, engine, steps, out, *overrides = sys.argv[1:]
    register_third_party_plugins()
    overrides = [each.replace("--policy.", "--") for each in overrides]
    theirs, ours = policy_of(checkpoint, overrides), policy_of(engine, overrides)
    seen = observations(theirs[0].config, int(steps))
    for parts in (theirs, ours):
        actions(parts, seen[:WARM_UP])
    expected, theirs_ms = actions(theirs, seen)
    actual, ours_ms = actions(ours, seen)
    np.savez(out, expected=expected, actual=actual, theirs_ms=theirs_ms, ours_ms=ours_ms)


if __name__ == "__main__":
    main()
