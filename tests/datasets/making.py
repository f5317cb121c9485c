"""Small datasets with known content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from actd.datasets import DatasetWriter, Form

NAMES = ("shoulder.pos", "elbow.pos", "gripper.pos")
TOP, WRIST = "observation.images.top", "observation.images.wrist"
FORM = Form(
    fps=30,
    vectors={"observation.state": NAMES, "action": NAMES},
    cameras={TOP: (96, 128), WRIST: (64, 64)},
    robot_type="three_joints",
)


def image(height: int, width: int, row: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A smooth image whose brightness says which row it belongs to."""
    shades = np.linspace(0, 80, width)[None, :, None] + np.linspace(0, 40, height)[:, None, None]
    made: np.ndarray[Any, np.dtype[np.uint8]] = np.broadcast_to(
        shades + 5 * (row % 25), (height, width, 3)
    ).astype(np.uint8)
    return made


def rows(count: int, seed: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Vectors and images of an episode, the same for the same seed."""
    numbers = np.random.default_rng(seed).normal(size=(2, count, len(NAMES))).astype(np.float32)
    return [
        (
            {"observation.state": numbers[0, row], "action": numbers[1, row]},
            {key: image(*size, row) for key, size in FORM.cameras.items()},
        )
        for row in range(count)
    ]


def write_motion(
    folder: Path,
    episodes: Sequence[tuple[ArrayLike, ArrayLike]],
    joints: Sequence[str],
    *,
    states: Sequence[str] = (),
    fps: int = 30,
    robot_type: str | None = None,
) -> Path:
    """A dataset without images: of each episode the actions and states, (rows, dim)."""
    names = {"observation.state": tuple(states or joints), "action": tuple(joints)}
    with DatasetWriter(folder, Form(fps, names, {}, robot_type)) as writer:
        for actions, measured in episodes:
            episode = writer.begin("reach")
            for action, state in zip(
                np.asarray(actions, np.float32), np.asarray(measured, np.float32), strict=True
            ):
                episode.add({"observation.state": state, "action": action}, {})
            episode.save()
    return folder


def write(folder: Path, lengths: list[int], task: str = "wave", first_seed: int = 0) -> None:
    """Add episodes of these lengths; episode k of a call has seed `first_seed + k`."""
    with DatasetWriter(folder, FORM) as writer:
        for seed, length in enumerate(lengths, first_seed):
            episode = writer.begin(task)
            for vectors, images in rows(length, seed):
                episode.add(vectors, images)
            episode.save()


def write_scored(folder: Path, episodes: Sequence[tuple[int, bool]]) -> None:
    """Add scored episodes: of each the length, and whether it was a success."""
    with DatasetWriter(folder, replace(FORM, scored=True)) as writer:
        for seed, (length, success) in enumerate(episodes):
            episode = writer.begin("wave")
            for vectors, images in rows(length, seed):
                episode.add(vectors, images)
            episode.save(success=success)
