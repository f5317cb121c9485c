"""LeRobot as the engine bench's contestant: the same policy, timed in parts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from actd.engine.candidate import Candidate
from actd.engine.observations import random_observation
from bench.lerobot_peer import VARIABLE, LeRobot


@pytest.mark.lerobot
def test_it_infers_what_torch_does(small_checkpoint: Path, tmp_path: Path) -> None:
    torch = Candidate("torch", threads=1, checkpoint=str(small_checkpoint)).open()
    observation = random_observation(torch.spec)
    with LeRobot(os.environ[VARIABLE], small_checkpoint, observation, 1, tmp_path) as peer:
        peer()
        peer()
        assert np.allclose(peer.actions, torch.infer(observation), atol=1e-4)
    assert len(peer.spent_ns) == 2
    assert all(part > 0 for spent in peer.spent_ns for part in spent)


def test_one_that_ends_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="LeRobot ended: ModuleNotFoundError: No module named"):
        LeRobot(sys.executable, tmp_path, {}, 1, tmp_path)
