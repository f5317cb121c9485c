"""A LeRobot dataset of a scripted task: `python -m bench.trained.collect OUT`.

A bar lies somewhere on the table, turned some way. The right gripper comes over it, goes down
beside it, closes and lifts; the left one comes to where the bar will be. Where both go depends
on the images alone: the arms begin every episode in the same pose. Writes a dataset with
`actd.datasets`: joint positions, the targets sent, and both cameras. Seeded: the same episodes
every time. A failure is one line on stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.datasets import DatasetWriter, Form
from actd.errors import ActdError
from actd.sim.aloha import CAMERAS, GRIPPERS, JOINTS
from bench.trained.table import BAR_HALF_M, Place, Table, UnreachableError

FPS = 25
HEIGHT, WIDTH = 120, 160
TASK = "Lift the red bar."
FORM = Form(
    fps=FPS,
    vectors={"observation.state": JOINTS, "action": JOINTS},
    cameras={f"observation.images.{name}": (HEIGHT, WIDTH) for name in CAMERAS},
    robot_type="aloha",
)

BAR_X_M, BAR_Y_M, BAR_YAW_RAD = (0.0, 0.18), (0.38, 0.66), (-0.5, 0.5)
OPEN, SHUT = 0.9, 0.3
PITCH_RAD, WAITING_PITCH_RAD = 1.4, 1.1
ABOVE_M, LIFT_M = 0.1, 0.14
# No two demonstrations are alike: how far off each pose is, how uneven the pace, and the jitter.
POSE_NOISE_RAD, PACE_NOISE, TARGET_NOISE = 0.008, 0.15, 0.002
LIFTED_M = 0.06

Pose = dict[str, float]
Random = np.random.Generator


def collect(out: Path, episodes: int, seed: int = 0) -> int:
    """Add `episodes` to the dataset at `out`, and return in how many the bar was lifted.

    Raises ActdError when the machine cannot draw or the folder holds another kind of dataset.
    """
    lifted = 0
    with closing(Table(HEIGHT, WIDTH)) as table, DatasetWriter(out, FORM) as writer:
        for number in range(episodes):
            targets = demonstration(table, np.random.default_rng((seed, number)))
            episode = writer.begin(TASK)
            try:
                for target in targets:
                    state = np.array(list(table.state().values()))
                    images = {
                        f"observation.images.{name}": table.render(name).copy() for name in CAMERAS
                    }
                    episode.add({"observation.state": state, "action": target}, images)
                    table.step(dict(zip(JOINTS, target.tolist(), strict=True)), 1 / FPS)
            except BaseException:
                episode.discard()
                raise
            episode.save()
            lifted += bool(table.bar()[2] > LIFTED_M)
    return lifted


def demonstration(table: Table, random: Random) -> NDArray[np.float64]:
    """Lay the bar somewhere both arms reach, and chunk: targets (frames, 14) in JOINTS order."""
    while True:
        x, y, yaw = (random.uniform(*span) for span in (BAR_X_M, BAR_Y_M, BAR_YAW_RAD))
        table.reset(x, y, yaw)
        try:
            return _plan(table, Place(x, y, BAR_HALF_M[2], yaw, PITCH_RAD), random)
        except UnreachableError:
            continue


def _plan(table: Table, bar: Place, random: Random) -> NDArray[np.float64]:
    """Minimum-jerk targets through the poses of both arms, each arm at a pace of its own."""
    lift = bar._replace(z=bar.z + LIFT_M)
    right = [
        (0.2, {}),
        (1.1, _at(table, "right", bar._replace(z=bar.z + ABOVE_M), OPEN)),
        (0.6, _at(table, "right", bar, OPEN)),
        (0.4, _at(table, "right", bar, SHUT)),
        (0.7, _at(table, "right", lift, SHUT)),
    ]
    waiting = Place(bar.x - 0.16, bar.y - 0.1, 0.24, 0.5 * bar.yaw, WAITING_PITCH_RAD)
    left = [(0.4, {}), (1.5, _at(table, "left", waiting, OPEN))]
    start = table.state()
    tracks = [_track(start, poses, random) for poses in (right, left)]
    frames = max(len(track) for track in tracks) + 5
    moves = [
        np.pad(track, ((0, frames - len(track)), (0, 0)), mode="edge") - track[0]
        for track in tracks
    ]
    targets: NDArray[np.float64] = np.array(list(start.values())) + sum(moves)
    return targets + random.normal(scale=TARGET_NOISE, size=targets.shape)


def _at(table: Table, side: str, place: Place, gripper: float) -> Pose:
    return table.reach(side, place) | {f"{side}_arm_gripper": gripper}


def _track(start: Pose, poses: Sequence[tuple[float, Pose]], random: Random) -> NDArray[np.float64]:
    """Targets (frames, 14) from `start` through each pose in about the seconds given with it."""
    here = np.array(list(start.values()))
    parts = [here[None]]
    for seconds, positions in poses:
        there = here.copy()
        for name, value in positions.items():
            noise = 0.0 if name in GRIPPERS else random.normal(scale=POSE_NOISE_RAD)
            there[JOINTS.index(name)] = value + noise
        frames = max(1, round(FPS * seconds * random.uniform(1 - PACE_NOISE, 1 + PACE_NOISE)))
        done = np.arange(1, frames + 1)[:, None] / frames
        parts.append(here + (there - here) * (10 * done**3 - 15 * done**4 + 6 * done**5))
        here = there
    return np.concatenate(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.trained.collect", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the dataset; episodes there are kept")
    parser.add_argument("--episodes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    try:
        lifted = collect(options.out, options.episodes, options.seed)
    except (ActdError, OSError) as error:
        print(f"bench.trained.collect: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {options.episodes} episodes, the bar lifted in {lifted}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
