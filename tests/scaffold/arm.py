"""Demonstrations of an SO-101, invented: minimum-jerk reaches, a follower that lags and sags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.policy.spec import PolicySpec
from tests.datasets.making import write_motion
from tests.engines import policy_spec, write_waving_engine

JOINTS = (
    "shoulder_pan.pos",
    "shoulder_lift.pos",
    "elbow_flex.pos",
    "wrist_flex.pos",
    "wrist_roll.pos",
    "gripper.pos",
)
HOME = np.array([0.0, -98.0, 96.0, 60.0, 2.0, 60.0])
REACH = np.array([60.0, 40.0, 50.0, 30.0, 0.0, 0.0])
LAG = 0.35
TICK = 360 / 4095
"""LeRobot's degrees of a servo's count."""
SAG = np.array([0.0, 1.5, 0.0, 0.0, 0.0, 0.0])

Array = NDArray[np.float64]


def episode(seed: int, rows: int = 150) -> tuple[Array, Array]:
    """Actions and states in degrees, (rows, 6): home, three places, home; a gripper that shuts."""
    random = np.random.default_rng(seed)
    places = HOME + random.uniform(-1, 1, (5, 6)) * REACH
    places[1:4, 1:3] = HOME[1:3] * 0.3 + random.uniform(-1, 1, (3, 2)) * REACH[1:3]
    places[0] = places[-1] = HOME
    time = np.linspace(0, len(places) - 1, rows)
    leg = np.minimum(time.astype(int), len(places) - 2)
    x = (time - leg)[:, None]
    actions = places[leg] + (places[leg + 1] - places[leg]) * x**3 * (10 - 15 * x + 6 * x**2)
    actions[(time > 1.5) & (time < 3), 5] = 5.0
    states = actions.copy()
    for row in range(1, rows):
        states[row] = states[row - 1] + LAG * (actions[row] - states[row - 1])
    return actions, np.rint((states - SAG) / TICK) * TICK


def write_demonstrations(folder: Path, episodes: int = 6, scale: float = 1.0, **kinds: Any) -> Path:
    """A LeRobotDataset of the arm at 30 rows a second, `scale` times its degrees."""
    kinds = {"joints": JOINTS, "robot_type": "so101_follower"} | kinds
    made = [episode(seed) for seed in range(episodes)]
    return write_motion(folder, [(scale * a, scale * s) for a, s in made], **kinds)


def write_arm_engine(folder: Path, cameras: Sequence[str] = ("front",)) -> Path:
    """An engine of a policy of such an arm, that knows nothing of its training."""
    return write_waving_engine(folder, arm_spec(cameras))


def arm_spec(cameras: Sequence[str] = ("front",)) -> PolicySpec:
    """A policy of such an arm."""
    return policy_spec(len(JOINTS), dict.fromkeys(cameras, (48, 64)), chunk_size=50)
