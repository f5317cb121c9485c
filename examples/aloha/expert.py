"""The scripted expert: how both arms do a task with an object that lies somewhere on the table.

Motion is minimum-jerk through the waypoints of the task's plan. No two demonstrations are alike:
each has its own pace, comes over the object a little beside it, and corrects that on the way down,
so that a policy sees how to correct as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from actd.sim.aloha import GRIPPERS, JOINTS, AlohaSim
from actd.sim.scene import Random
from examples.aloha.reach import Reach, UnreachableError
from examples.aloha.tasks import ABOVE_NOISE_RAD, TASKS, Pose, Task, Track

# How uneven the pace is; the jitter of every target.
PACE_NOISE, JITTER_RAD = 0.15, 0.002


class Expert:
    """Plans demonstrations of `task` for the arms of `sim`, which has the task's scene.

    above_noise_rad: how far off the pose over the object is, in every joint.
    """

    def __init__(
        self, sim: AlohaSim, task: Task = TASKS["bar"], above_noise_rad: float = ABOVE_NOISE_RAD
    ) -> None:
        self._sim = sim
        self._task = task
        self._above_noise_rad = above_noise_rad
        self._reach = Reach(sim)

    def demonstration(self, random: Random) -> NDArray[np.float64]:
        """Lay the object somewhere both arms reach; the targets (frames, 14) in JOINTS order."""
        while True:
            place = self._task.scene.place(random)
            self._sim.reset(*place)
            try:
                plan = self._task.plan(self._reach, place, self._above_noise_rad)
            except UnreachableError:
                continue
            return self._targets(plan, random)

    def _targets(self, plan: list[Track], random: Random) -> NDArray[np.float64]:
        """Targets along all tracks of `plan`, each at a pace of its own."""
        start = self._sim.state()
        tracks = [self._targets_along(start, track, random) for track in plan]
        frames = max(len(track) for track in tracks) + 5
        moves = [
            np.pad(track, ((0, frames - len(track)), (0, 0)), mode="edge") - track[0]
            for track in tracks
        ]
        targets: NDArray[np.float64] = np.array(list(start.values())) + sum(moves)
        return targets + random.normal(scale=JITTER_RAD, size=targets.shape)

    def _targets_along(self, start: Pose, track: Track, random: Random) -> NDArray[np.float64]:
        """Targets (frames, 14) from `start` through the waypoints of one track."""
        here = np.array(list(start.values()))
        parts = [here[None]]
        for seconds, noise_rad, positions in track:
            there = here.copy()
            for name, value in positions.items():
                noise = 0.0 if name in GRIPPERS else random.normal(scale=noise_rad)
                there[JOINTS.index(name)] = value + noise
            pace = random.uniform(1 - PACE_NOISE, 1 + PACE_NOISE)
            frames = max(1, round(self._task.scene.hz * seconds * pace))
            done = np.arange(1, frames + 1)[:, None] / frames
            parts.append(here + (there - here) * (10 * done**3 - 15 * done**4 + 6 * done**5))
            here = there
        return np.concatenate(parts)
