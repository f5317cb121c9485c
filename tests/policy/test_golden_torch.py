"""The torch network against recorded answers, from checkpoints of every generation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actd.policy.checkpoint import load_checkpoint
from actd.policy.network import Policy
from tests import golden, layouts


@pytest.mark.parametrize("case", golden.CASES)
@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_actions_are_lerobots(layout: str, case: str, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(layouts.LAYOUTS[layout](case, tmp_path))
    assert checkpoint.normalization["action"] in ("MEAN_STD", "MIN_MAX")
    policy = Policy(checkpoint)
    found = [policy.infer(golden.observation(case, i)) for i in range(golden.OBSERVATIONS)]
    np.testing.assert_allclose(np.stack(found), golden.expected(case), rtol=0, atol=1e-4)


def test_actions_are_the_originals(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(layouts.write_original(tmp_path), layouts.ORIGINAL_HINTS)
    policy = Policy(checkpoint)
    found = [policy.infer(layouts.original_observation(i)) for i in range(golden.OBSERVATIONS)]
    expected = golden.expected(layouts.ORIGINAL)
    np.testing.assert_allclose(np.stack(found), expected, rtol=0, atol=1e-4)


def test_a_policy_trained_on_bgr_sees_the_same_image(tmp_path: Path) -> None:
    """Said to be trained on BGR, it must answer to RGB as the RGB one does to BGR."""
    folder = layouts.write_original(tmp_path)
    rgb, bgr = (
        Policy(load_checkpoint(folder, replace(layouts.ORIGINAL_HINTS, color=color)))
        for color in ("rgb", "bgr")
    )
    given = layouts.original_observation(0)
    exchanged = {key: x[..., ::-1] if x.ndim == 3 else x for key, x in given.items()}
    np.testing.assert_allclose(bgr.infer(exchanged), rgb.infer(given), rtol=0, atol=1e-4)
    assert np.abs(bgr.infer(given) - rgb.infer(given)).max() > 1e-3


def test_equal_cameras_may_change_places(tmp_path: Path) -> None:
    """All cameras share one position code, so a swap changes nothing but rounding."""
    policy = Policy(load_checkpoint(golden.write_checkpoint("two_cameras", tmp_path)))
    first, second = (camera.key for camera in policy.spec.cameras)
    observation = golden.observation("two_cameras", 0)
    swapped = observation | {first: observation[second], second: observation[first]}
    np.testing.assert_allclose(policy.infer(swapped), policy.infer(observation), atol=1e-4)
    blank = observation | {first: np.zeros_like(observation[first])}
    assert np.abs(policy.infer(blank) - policy.infer(observation)).max() > 1e-2
