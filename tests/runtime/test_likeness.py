"""What lasts of being unlike the training is said, of cameras and of joints."""

from __future__ import annotations

import numpy as np
import pytest

from actd.cameras.base import Frame
from actd.cameras.config import OpenCVConfig
from actd.cameras.likeness import ImageMoments
from actd.runtime.camera_condition import CameraCondition
from actd.runtime.joint_likeness import JointLikeness

SECOND_NS = 1_000_000_000
DARK, BRIGHT = (np.random.Generator(np.random.PCG64(0)).normal(level, 30, (48, 64, 3)).clip(0, 255)
                .astype(np.uint8) for level in (30, 120))  # fmt: skip
TRAINED = ImageMoments((0.45,) * 3, (0.15,) * 3)


def states(condition: CameraCondition, levels: list[bool]) -> list[str]:
    """The condition second by second; `levels`: whether it is as bright as in training."""
    state, said = "ok", []
    for second, bright in enumerate(levels):
        frame = Frame(BRIGHT if bright else DARK, second * SECOND_NS, second)
        change = condition.changed(frame, 30.0)
        if change is not None:
            state = f"{change['state']}: {change['why']}"
        said.append(state)
    return said


def test_a_camera_that_stays_dark_is_named_and_one_that_flickers_is_not() -> None:
    config = OpenCVConfig(index_or_path="0", fps=30)
    levels = [True] * 3 + [False] * 4 + [True] * 2 + [False] * 8 + [True] * 8
    said = states(CameraCondition(config, TRAINED), levels)
    unlike = ["unlike training" in words for words in said]
    assert unlike == [False] * 14 + [True] * 8 + [False] * 3
    assert "of white, 45% in training" in said[15]


def test_without_statistics_a_camera_is_never_unlike() -> None:
    config = OpenCVConfig(index_or_path="0", fps=30)
    assert states(CameraCondition(config), [False] * 20) == ["ok"] * 20


def test_joints_have_a_figure_at_once_and_words_when_it_lasts() -> None:
    inf = np.inf
    joints = JointLikeness(["waist", "elbow", "wrist"], [-1, 0, -inf], [1, 4, inf])
    where = np.array([1.5, 2.0, 99.0])
    said = []
    for tenth in range(80):
        positions = where if tenth < 50 else np.array([0.0, 2.0, 99.0])
        joints.look(positions, tenth * SECOND_NS // 10)
        said.append(len(joints.words))
        if tenth == 10:
            assert joints.beyond == {"waist": 0.25, "elbow": 0.0}
        if tenth == 30:
            assert joints.words == ["waist is 1.5, training never left -1 to 1"]
    assert said == [0] * 20 + [1] * 50 + [0] * 10
    joints.look(np.full(3, np.nan), 9 * SECOND_NS)
    assert joints.beyond == {}


@pytest.mark.parametrize(("value", "beyond"), [(5.0, 0.0), (4.999999, 0.0), (6.0, 100.0)])
def test_a_joint_that_never_moved_has_a_range_too(value: float, beyond: float) -> None:
    joints = JointLikeness(["waist"], [5.0], [5.0])
    joints.look(np.array([value]), 0)
    assert joints.beyond["waist"] == pytest.approx(beyond, abs=0.3)
