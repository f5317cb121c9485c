"""Observations for calibration: `python -m actd.sim.collect FILE.npz`.

Moves the arms between random poses around the start pose and records camera images and joint
positions, in the layout that `actd export --calibration` reads. Seeded: the same file every
time on the same machine. A failure is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd import crash
from actd.errors import ActdError
from actd.sim.aloha import CAMERAS, GRIPPERS, JOINTS, AlohaSim

SECONDS_BETWEEN = 0.2
SECONDS_PER_POSE = 1.0
ARM_SPREAD_RAD = 0.25
GRIPPER_SPREAD = 0.2


def collect(frames: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Collect `frames` observations by LeRobot feature name, stacked along the first axis.

    The first is of the start pose.

    Cameras are uint8 RGB (frames, H, W, 3), the state float32 (frames, 14). Raises ActdError
    when the machine cannot draw.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    images: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in CAMERAS}
    states = []
    with AlohaSim() as sim:
        start = sim.state()
        for number in range(frames):
            if number % round(SECONDS_PER_POSE / SECONDS_BETWEEN) == 0:
                targets = _pose_near(start, random)
            for _ in range(10 if number else 0):
                sim.step(targets, SECONDS_BETWEEN / 10)
            states.append(list(sim.state().values()))
            for name, camera_images in images.items():
                camera_images.append(sim.render(name).copy())
    arrays: dict[str, NDArray[Any]] = {
        f"observation.images.{name}": np.stack(camera_images)
        for name, camera_images in images.items()
    }
    return arrays | {"observation.state": np.asarray(states, dtype=np.float32)}


def _pose_near(start: Mapping[str, float], random: np.random.Generator) -> dict[str, float]:
    spread = [GRIPPER_SPREAD if name in GRIPPERS else ARM_SPREAD_RAD for name in JOINTS]
    offsets = random.normal(0.0, spread)
    return {name: start[name] + float(o) for name, o in zip(JOINTS, offsets, strict=True)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m actd.sim.collect", description=collect.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--frames", type=int, default=48)
    options = parser.parse_args(arguments)
    try:
        observations: dict[str, Any] = collect(options.frames)
        np.savez(options.file, **observations)
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    crash.install()
    sys.exit(main())
