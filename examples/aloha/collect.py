"""Record demonstrations: `python -m examples.aloha.collect DATASET`.

The scripted expert does `--task` in the simulator, and a LeRobot dataset v3.0 is written by
`actd.datasets`: joint positions, the targets sent, and both cameras. Seeded by the number of the
episode, so that the same command gives the same episodes, and a run that was interrupted goes on
where it ended. A failure is one line on stderr and exit code 1.
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
from actd.sim.aloha import JOINTS, AlohaSim
from actd.sim.scene import Scene
from examples.aloha.expert import Expert
from examples.aloha.tasks import TASKS, Task


def collect(out: Path, task: Task, episodes: int, seed: int = 0) -> int:
    """Bring the dataset at `out` to `episodes`; return how many more the expert lost.

    Only episodes that end with the task done are kept. Raises ActdError when the machine cannot
    draw or the folder holds another kind of dataset.
    """
    lost = 0
    scene = task.scene
    form = Form(
        fps=round(scene.hz),
        vectors={"observation.state": JOINTS, "action": JOINTS},
        cameras={f"observation.images.{c}": (scene.height, scene.width) for c in scene.cameras},
        robot_type="aloha",
    )
    with closing(AlohaSim(scene)) as sim, DatasetWriter(out, form) as writer:
        expert = Expert(sim, task)
        for number in range(int(writer.info["total_episodes"]), episodes):
            random = np.random.default_rng((seed, number))
            while not _record(sim, scene, writer, expert.demonstration(random)):
                lost += 1
    return lost


def _record(
    sim: AlohaSim, scene: Scene, writer: DatasetWriter, targets: NDArray[np.float64]
) -> bool:
    """Send the targets (frames, 14), record them, and return whether the task is done."""
    episode = writer.begin(scene.task)
    try:
        for target in targets:
            state = np.array(list(sim.state().values()))
            images = {f"observation.images.{c}": sim.render(c).copy() for c in scene.cameras}
            episode.add({"observation.state": state, "action": target}, images)
            sim.step(dict(zip(JOINTS, target.tolist(), strict=True)), 1 / scene.hz)
    except BaseException:
        episode.discard()
        raise
    if not sim.is_done:
        episode.discard()
        return False
    episode.save()
    return True


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.aloha.collect", description=__doc__)
    parser.add_argument("out", type=Path, help="folder of the dataset; episodes there are kept")
    parser.add_argument("--task", choices=TASKS, default="bar")
    parser.add_argument("--episodes", type=int, default=400, help="how many it shall have")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    for flag, least in (("episodes", 1), ("seed", 0)):
        if getattr(options, flag) < least:
            parser.error(f"argument --{flag}: {getattr(options, flag)}; give {least} or more")
    try:
        lost = collect(options.out, TASKS[options.task], options.episodes, options.seed)
    except (ActdError, OSError) as error:
        print(f"examples.aloha.collect: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{options.out}: interrupted; the same command goes on", file=sys.stderr)
        return 130
    print(f"{options.out}: {options.episodes} episodes; {lost} more failed and were not kept")
    return 0


if __name__ == "__main__":
    sys.exit(main())
