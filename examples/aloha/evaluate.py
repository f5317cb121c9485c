"""Does an engine do the task? `python -m examples.aloha.evaluate ENGINE [ENGINE ...]`.

Every engine drives the simulated arms over the same places, none of which is in the dataset: one
inference, the first `--rows` of its chunk, the next inference. An attempt counts as in the demo:
the task stays done for a moment, and not too late. Prints the successes with their 95 % Wilson
interval, and for each engine after the first where it differs from the first. `--blind` shows the
first engine the images of another place: a policy that looks fails then. A failure is one line on
stderr and exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actd.engine.base import Engine, Observation
from actd.engine.load import load_engine
from actd.errors import ActdError
from actd.mode import Mode
from actd.proportions import mcnemar, wilson
from actd.sim.aloha import JOINTS, AlohaSim
from actd.sim.referee import Referee
from examples.aloha.expert import Expert
from examples.aloha.tasks import TASKS, Task

ATTEMPT_S = 8.0
ROWS = 25
"""A state has no velocities: asked every few rows, a policy begins its motion anew each time."""
SEED = 77  # not that of the dataset


class Places:
    """Seeded places for the object in `sim`, none of them in the dataset; what is seen there."""

    def __init__(self, sim: AlohaSim, task: Task = TASKS["bar"]) -> None:
        self._sim = sim
        self._cameras = tuple(task.scene.cameras)
        self._expert = Expert(sim, task)

    def lay(self, number: int) -> None:
        """Arms at rest in the start pose, the object at place `number`."""
        self._expert.demonstration(np.random.default_rng((SEED, number)))

    def look(self) -> Observation:
        """What the cameras see now."""
        return {f"observation.images.{c}": self._sim.render(c).copy() for c in self._cameras}

    def state(self) -> NDArray[np.float32]:
        """Measured positions (14,), in JOINTS order."""
        return np.array(list(self._sim.state().values()), np.float32)


class Attempts:
    """Attempts of engines at seeded places, in one simulator, with an inference every `rows`."""

    def __init__(self, sim: AlohaSim, rows: int = ROWS, task: Task = TASKS["bar"]) -> None:
        self._sim = sim
        self._rows = rows
        self._period_s = 1 / task.scene.hz
        self._places = Places(sim, task)

    def images(self, number: int) -> Observation:
        """What the cameras see at place `number` before anything moves."""
        self._places.lay(number)
        return self._places.look()

    def attempt(self, engine: Engine, number: int, shown: Observation | None = None) -> bool:
        """Whether `engine` does the task at place `number`; `shown` replaces all images."""
        self._places.lay(number)
        referee = Referee()
        for row, action in enumerate(self._actions(engine, shown)):
            self._sim.step(dict(zip(JOINTS, action, strict=True)), self._period_s)
            now_s = row * self._period_s
            referee.see(Mode.ARMED, now_s, is_done=self._sim.is_done, is_home=False)
            if referee.score.successes or now_s > ATTEMPT_S:
                break
        return referee.score.successes > 0

    def _actions(self, engine: Engine, shown: Observation | None) -> Iterator[list[float]]:
        while True:
            images = shown or self._places.look()
            chunk = engine.infer({"observation.state": self._places.state(), **images})
            yield from chunk[: self._rows].tolist()


def evaluate(
    folders: Sequence[Path], task: Task, places: int, rows: int, *, blind: bool
) -> dict[str, list[bool]]:
    """Success of each engine at each place, and of the first one with another place's images."""
    done: dict[str, list[bool]] = {}
    with closing(AlohaSim(task.scene)) as sim:
        attempts = Attempts(sim, rows, task)
        for folder in folders:
            with closing(load_engine(folder, threads=1)) as engine:
                _check_cameras(folder, engine, task)
                done[str(folder)] = [attempts.attempt(engine, n) for n in range(places)]
                if blind and folder == folders[0]:
                    done[f"{folder}, blind"] = [
                        attempts.attempt(engine, n, attempts.images((n + 1) % places))
                        for n in range(places)
                    ]
    return done


def _check_cameras(folder: Path, engine: Engine, task: Task) -> None:
    seen, shown = ({feature.camera for feature in engine.spec.cameras}, set(task.scene.cameras))
    if seen != shown:
        raise ActdError(
            f"{folder}: sees {', '.join(sorted(seen))}; the task shows {', '.join(sorted(shown))}: "
            "give the --task that it was trained for"
        )


def describe(name: str, done: Sequence[bool], first: Sequence[bool]) -> str:
    """One line for one engine, compared with the first."""
    successes, places = sum(done), len(done)
    low, high = wilson(successes, places)
    lost = sum(a and not b for a, b in zip(first, done, strict=True))
    gained = sum(b and not a for a, b in zip(first, done, strict=True))
    against = f"; against the first {lost} lost, {gained} gained (p {mcnemar(lost, gained):.3g})"
    return (
        f"{name}: {successes} of {places} ({successes / places:.1%}, 95 % {low:.1%} to "
        f"{high:.1%}){'' if done is first else against}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m examples.aloha.evaluate", description=__doc__)
    parser.add_argument("engines", type=Path, nargs="+", help="engine folders")
    parser.add_argument("--task", choices=TASKS, default="bar")
    parser.add_argument("--places", type=int, default=200)
    parser.add_argument("--rows", type=int, default=ROWS, help="rows between inferences")
    parser.add_argument("--blind", action="store_true", help="also with another place's images")
    parser.add_argument("--json", type=Path, help="file for the outcome at every place")
    options = parser.parse_args(argv)
    for flag in ("places", "rows"):
        if getattr(options, flag) < 1:
            parser.error(f"argument --{flag}: {getattr(options, flag)}; give 1 or more")
    if options.json and not options.json.absolute().parent.is_dir():
        parser.error(f"argument --json: {options.json.parent}: no such folder; create it first")
    try:
        task = TASKS[options.task]
        done = evaluate(options.engines, task, options.places, options.rows, blind=options.blind)
        if options.json:
            options.json.write_text(json.dumps(done) + "\n")
    except (ActdError, OSError) as error:
        print(f"examples.aloha.evaluate: {error}", file=sys.stderr)
        return 1
    first = next(iter(done.values()))
    for name, outcomes in done.items():
        print(describe(name, outcomes, first))
    return 0


if __name__ == "__main__":
    sys.exit(main())
