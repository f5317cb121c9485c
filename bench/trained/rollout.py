"""Does an engine do the task? `python -m bench.trained.rollout ENGINE [ENGINE ...]`.

Each engine drives the simulated arms over the same new bar places, replanning every half chunk,
and the bars that it lifts are counted. As a control the first engine does it once more with the
images of another episode: a policy that looks fails then. A failure is one line on stderr and
exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine
from actd.errors import ActdError
from actd.sim.aloha import CAMERAS, JOINTS
from bench.trained.collect import FPS, HEIGHT, LIFTED_M, WIDTH, demonstration
from bench.trained.table import Table

PLANS = 4

Images = list[Observation]


def episode(
    table: Table, engine: Engine, place: Sequence[int], shown: Images | None = None
) -> tuple[bool, Images]:
    """Whether the bar laid by the seed `place` was lifted, and the images at each chunk.

    `shown` are given to the engine in place of what the cameras see.
    """
    demonstration(table, np.random.default_rng(tuple(place)))
    seen: Images = []
    rows = engine.spec.chunk_size // 2
    for number in range(PLANS):
        seen.append({f"observation.images.{name}": table.render(name).copy() for name in CAMERAS})
        state = np.array(list(table.state().values()), np.float32)
        images = seen[-1] if shown is None else shown[number]
        chunk = engine.infer({"observation.state": state, **images})
        for action in chunk[:rows].tolist():
            table.step(dict(zip(JOINTS, action, strict=True)), 1 / FPS)
    return bool(table.bar()[2] > LIFTED_M), seen


def rollout(folders: Sequence[Path], episodes: int, seed: int) -> dict[str, int]:
    """Bars lifted by each engine, and by the first one with other episodes' images."""
    lifted: dict[str, int] = {}
    places = [(seed, number) for number in range(episodes)]
    with closing(Table(HEIGHT, WIDTH)) as table:
        for folder in folders:
            with closing(load_engine(folder)) as engine:
                runs = [episode(table, engine, place) for place in places]
                lifted[str(folder)] = sum(done for done, _ in runs)
                if folder == folders[0] and episodes > 1:
                    others = [seen for _, seen in runs[1:] + runs[:1]]
                    blind = [
                        episode(table, engine, place, shown)[0]
                        for place, shown in zip(places, others, strict=True)
                    ]
                    lifted[f"{folder}, another episode's images"] = sum(blind)
    return lifted


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.trained.rollout", description=__doc__)
    parser.add_argument("engines", type=Path, nargs="+", help="engine folders")
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=77, help="not that of the dataset")
    options = parser.parse_args(argv)
    try:
        lifted = rollout(options.engines, options.episodes, options.seed)
    except (ActdError, OSError) as error:
        print(f"bench.trained.rollout: {error}", file=sys.stderr)
        return 1
    for name, count in lifted.items():
        print(f"{name}: {count} of {options.episodes} lifted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
