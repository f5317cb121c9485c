"""A policy of LeRobot's, its own ACTPolicy or a plugin's: an inference per line on standard input.

Runs under LeRobot's interpreter: `lerobot_loop.py JOB`, where JOB is a JSON object with
`checkpoint` (a policy path), `observation` (.npz by feature name), `actions` (.npy to write: the
first answer), `threads`, `device`, `plugins` (modules with policies) and `method`
(`predict_action_chunk`, or `select_action` of a policy that has just been reset: the period of a
loop in which it infers). Every answer is a line: how many nanoseconds LeRobot's preprocessing, the
method and postprocessing took. An exception ends it, with its traceback on stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.policies.utils import prepare_observation_for_inference


def main(job: dict[str, Any]) -> None:
    """Answer until standard input ends."""
    # libraries print what they like; answers have the pipe to themselves
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(job["threads"])
    for plugin in job["plugins"]:
        importlib.import_module(plugin)
    infer = _policy(job["checkpoint"], job["device"], job["method"])
    with np.load(job["observation"]) as stored:
        observation = {key: stored[key] for key in stored.files}
    actions, _ = infer(observation)
    np.save(job["actions"], actions)
    answers.write("ready\n")
    answers.flush()
    for _ in sys.stdin:
        _, spent_ns = infer(observation)
        answers.write(f"{json.dumps(spent_ns)}\n")
        answers.flush()


def _policy(
    checkpoint: str, device: str, method: str
) -> Callable[[dict[str, Any]], tuple[Any, list[int]]]:
    config = PreTrainedConfig.from_pretrained(checkpoint)
    config.device = device
    # what the checkpoint replaces need not be downloaded first
    config.pretrained_backbone_weights = None
    policy = get_policy_class(config.type).from_pretrained(checkpoint, config=config)
    policy.to(device).eval()
    predict = getattr(policy, method)
    overrides = {"device_processor": {"device": device}}
    before, after = make_pre_post_processors(
        policy.config, checkpoint, preprocessor_overrides=overrides
    )

    def infer(observation: dict[str, Any]) -> tuple[Any, list[int]]:
        policy.reset()
        marks = [time.perf_counter_ns()]
        with torch.inference_mode():
            # it converts in place, so it is given a mapping of its own
            batch = prepare_observation_for_inference(dict(observation), torch.device(device))
            batch = before(batch)
            marks.append(time.perf_counter_ns())
            predicted = predict(batch)
            marks.append(time.perf_counter_ns())
            actions = after(predicted).numpy()
        marks.append(time.perf_counter_ns())
        return actions[0], [end - start for start, end in pairwise(marks)]

    return infer


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
