"""The scripted expert: how both arms lift a bar that lies somewhere on the table.

The right gripper comes over the bar, goes down beside it, closes and lifts; the left one comes to
where the bar will be. Motion is minimum-jerk between poses. No two demonstrations are alike: each
has its own pace, comes over the bar a little beside it, and corrects that on the way down, so that
a policy sees how to correct as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from actd.sim.aloha import GRIPPERS, JOINTS, AlohaSim
from actd.sim.scene import BAR, Random
from examples.aloha.reach import Place, Reach, UnreachableError

OPEN, SHUT = 0.9, 0.3
PITCH_RAD, WAITING_PITCH_RAD = 1.4, 1.1
ABOVE_M, LIFT_M = 0.1, 0.14
# How far off the pose over the bar is, and the others; how uneven the pace is; the jitter.
ABOVE_NOISE_RAD, POSE_NOISE_RAD, PACE_NOISE, JITTER_RAD = 0.03, 0.004, 0.15, 0.002

Pose = dict[str, float]


class Expert:
    """Plans demonstrations for the arms of `sim`, which has the scene BAR.

    above_noise_rad: how far off the pose over the bar is, in every joint.
    """

    def __init__(self, sim: AlohaSim, above_noise_rad: float = ABOVE_NOISE_RAD) -> None:
        self._sim = sim
        self._above_noise_rad = above_noise_rad
        self._reach = Reach(sim)

    def demonstration(self, random: Random) -> NDArray[np.float64]:
        """Lay the bar somewhere both arms reach; the targets (frames, 14) in JOINTS order."""
        while True:
            x, y, yaw = BAR.place(random)
            self._sim.reset(x, y, yaw)
            try:
                return self._plan(Place(x, y, BAR.z_m, yaw, PITCH_RAD), random)
            except UnreachableError:
                continue

    def _plan(self, bar: Place, random: Random) -> NDArray[np.float64]:
        """Targets through the poses of both arms, each arm at a pace of its own."""
        lift = bar._replace(z=bar.z + LIFT_M)
        right = [
            (0.2, 0.0, {}),
            (1.1, self._above_noise_rad, self._at("right", bar._replace(z=bar.z + ABOVE_M), OPEN)),
            (0.7, POSE_NOISE_RAD, self._at("right", bar, OPEN)),
            (0.4, POSE_NOISE_RAD, self._at("right", bar, SHUT)),
            (0.7, POSE_NOISE_RAD, self._at("right", lift, SHUT)),
        ]
        waiting = Place(bar.x - 0.16, bar.y - 0.1, 0.24, 0.5 * bar.yaw, WAITING_PITCH_RAD)
        left = [(0.4, 0.0, {}), (1.5, POSE_NOISE_RAD, self._at("left", waiting, OPEN))]
        start = self._sim.state()
        tracks = [_track(start, poses, random) for poses in (right, left)]
        frames = max(len(track) for track in tracks) + 5
        moves = [
            np.pad(track, ((0, frames - len(track)), (0, 0)), mode="edge") - track[0]
            for track in tracks
        ]
        targets: NDArray[np.float64] = np.array(list(start.values())) + sum(moves)
        return targets + random.normal(scale=JITTER_RAD, size=targets.shape)

    def _at(self, side: str, place: Place, gripper: float) -> Pose:
        return self._reach.angles(side, place) | {f"{side}_arm_gripper": gripper}


def _track(
    start: Pose, poses: Sequence[tuple[float, float, Pose]], random: Random
) -> NDArray[np.float64]:
    """Targets (frames, 14) from `start` through each pose: its seconds, its noise, its joints."""
    here = np.array(list(start.values()))
    parts = [here[None]]
    for seconds, noise_rad, positions in poses:
        there = here.copy()
        for name, value in positions.items():
            noise = 0.0 if name in GRIPPERS else random.normal(scale=noise_rad)
            there[JOINTS.index(name)] = value + noise
        frames = max(1, round(BAR.hz * seconds * random.uniform(1 - PACE_NOISE, 1 + PACE_NOISE)))
        done = np.arange(1, frames + 1)[:, None] / frames
        parts.append(here + (there - here) * (10 * done**3 - 15 * done**4 + 6 * done**5))
        here = there
    return np.concatenate(parts)
