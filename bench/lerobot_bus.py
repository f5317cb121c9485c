"""LeRobot's record loop on an arm of bench.bus: `lerobot_bus.py JOB`, under LeRobot's interpreter.

JOB is a JSON object with `checkpoint`, `threads`, `hz` and `realtime` (whether the loop asks for
SCHED_FIFO). An iteration is that of LeRobot's `record_loop`: read the arm, `predict_action` (in
which a chunk is inferred when the last one is used up), write the arm, `precise_sleep` for what is
left of the period. The images are at hand, and nothing is recorded. It says "ready", and ends with
its standard input: then it prints what `actd drive --json` prints.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.utils.control_utils import predict_action
from lerobot.utils.robot_utils import precise_sleep

from actd.client import realtime
from actd.drive.cycle_times import CycleTimes
from bench.bus import JOINTS, Arm

_PRIORITY = 10
_DEVICE = torch.device("cpu")


def main(job: dict[str, Any]) -> None:
    """Serve the arm until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(job["threads"])
    policy, before, after = _policy(job["checkpoint"])
    random = np.random.default_rng(0)
    observation = {
        key: random.integers(0, 256, (*feature.shape[1:], 3), np.uint8)
        for key, feature in policy.config.image_features.items()
    }
    arm = Arm()
    over = threading.Event()

    def iterate() -> None:
        places = arm.read()
        observation["observation.state"] = np.array(list(places.values()), np.float32)
        action = predict_action(observation, policy, _DEVICE, before, after, use_amp=False)
        arm.command(dict(zip(JOINTS, action.squeeze(0).tolist(), strict=True)))

    iterate()  # the first inference is a slow one, and starts torch's own threads
    if job["realtime"]:
        realtime(_PRIORITY, lock_memory=False)
    times = CycleTimes(round(1e9 / job["hz"]))
    answers.write("ready\n")
    answers.flush()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    while not over.is_set():
        start_s = time.perf_counter()
        times.begin(time.monotonic_ns())
        iterate()
        precise_sleep(max(0.0, 1 / job["hz"] - (time.perf_counter() - start_s)))
    answers.write(f"{json.dumps(times.summary())}\n")
    answers.flush()


def _policy(checkpoint: str) -> tuple[Any, Any, Any]:
    config = PreTrainedConfig.from_pretrained(checkpoint)
    config.device = "cpu"
    # what the checkpoint replaces need not be downloaded first
    config.pretrained_backbone_weights = None
    policy = get_policy_class(config.type).from_pretrained(checkpoint, config=config)
    policy.eval()
    overrides = {"device_processor": {"device": "cpu"}}
    processors = make_pre_post_processors(
        policy.config, checkpoint, preprocessor_overrides=overrides
    )
    return (policy, *processors)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
