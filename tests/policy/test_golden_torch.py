"""The torch network against LeRobot's recorded answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from actd.policy.checkpoint import load_checkpoint
from actd.policy.network import Policy
from tests import golden


@pytest.mark.parametrize("case", golden.CASES)
def test_actions_are_lerobots(case: str, tmp_path: Path) -> None:
    policy = Policy(load_checkpoint(golden.write_checkpoint(case, tmp_path)))
    found = [policy.infer(golden.observation(case, i)) for i in range(golden.OBSERVATIONS)]
    np.testing.assert_allclose(np.stack(found), golden.expected(case), rtol=0, atol=1e-4)


def test_equal_cameras_may_change_places(tmp_path: Path) -> None:
    """All cameras share one position code, so a swap changes nothing but rounding."""
    policy = Policy(load_checkpoint(golden.write_checkpoint("two_cameras", tmp_path)))
    first, second = (camera.key for camera in policy.spec.cameras)
    observation = golden.observation("two_cameras", 0)
    swapped = observation | {first: observation[second], second: observation[first]}
    np.testing.assert_allclose(policy.infer(swapped), policy.infer(observation), atol=1e-4)
    blank = observation | {first: np.zeros_like(observation[first])}
    assert np.abs(policy.infer(blank) - policy.infer(observation)).max() > 1e-2
