"""LeRobot's policies behind their own `select_action`: `lerobot_policy.py JOB`.

Runs under LeRobot's interpreter. JOB is JSON: `policy` is a checkpoint, or an engine of actd's,
which LeRobot plays through its plugin; `rows` (n_action_steps) or `coeff` (of the temporal
ensembler) say how; `threads`. Lines on standard input ask, JSON lines answer: "reset"; "look FILE"
takes an observation (.npz by feature name); "select" is answered with the action and whether the
next one will take an inference. An exception ends it, with its traceback on stderr.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import lerobot_policy_actd  # noqa: F401  registers itself; not installed, so not found
import numpy as np
import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.utils.control_utils import predict_action


class Policy:
    """Policy and processors as `lerobot-record --policy.path` makes them."""

    def __init__(self, path: str, rows: int | None, coeff: float | None) -> None:
        options = [f"--n_action_steps={rows or 1}"]
        options += [] if coeff is None else [f"--temporal_ensemble_coeff={coeff}"]
        config = PreTrainedConfig.from_pretrained(path, cli_overrides=options)
        config.pretrained_path = Path(path)
        config.device = "cpu"
        if config.type == "act":
            config.pretrained_backbone_weights = None  # they are in the checkpoint
        policy = get_policy_class(config.type).from_pretrained(path, config=config)
        self._parts: Any = policy.to(config.device)
        self._before, self._after = make_pre_post_processors(
            policy_cfg=config,
            pretrained_path=path,
            preprocessor_overrides={"device_processor": {"device": config.device}},
        )
        self._rows = config.n_action_steps
        self.reset()

    def reset(self) -> None:
        """Forget the chunks of the episode before."""
        for part in (self._parts, self._before, self._after):
            part.reset()
        self._calls = 0

    @property
    def is_due(self) -> bool:
        """Whether the next action takes an inference; an ensembler's always does."""
        return self._calls % int(self._rows) == 0

    def select_action(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The next action (joints,), in physical units."""
        action = predict_action(
            observation,
            self._parts,
            torch.device("cpu"),
            self._before,
            self._after,
            use_amp=False,
            task="",
        )
        self._calls += 1
        return np.asarray(action.squeeze(0))


def main(job: dict[str, Any]) -> None:
    """Answer until standard input ends."""
    # libraries print what they like; answers have the pipe to themselves
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(job["threads"])
    policy = Policy(job["policy"], job["rows"], job["coeff"])
    observation: dict[str, np.ndarray] = {}
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        verb, _, file = line.strip().partition(" ")
        answer: Any = policy.is_due
        if verb == "reset":
            policy.reset()
        elif verb == "look":
            with np.load(file) as stored:
                observation = {key: stored[key] for key in stored.files}
        elif verb == "select":
            action = policy.select_action(observation)
            answer = [policy.is_due, action.tolist()]
        answers.write(f"{json.dumps(answer)}\n")
        answers.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
