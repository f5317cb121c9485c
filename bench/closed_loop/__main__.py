"""What precision, engine, chunk mode and latency do to a trained policy's success.

`python -m bench.closed_loop` plays the demo's policy in simulated time: every way to read chunks,
at latencies of 0 to 400 ms, as trained and with the bar moved meanwhile. `--engines FOLDER`
compares the engines of one policy place by place. With ACTD_LEROBOT_PYTHON, LeRobot's own loops
play the same engine. `--untouched` plays what is claimed at places by which nothing was chosen, and
with a bar that is moved sooner or later. What is in `--out` is not run again, and Ctrl-C keeps what
is done.
`--realtime` lets the real daemon and LeRobot's loops play beside busy cores.
`--page` writes the tables and pictures of docs/proof.md from the results in the repository.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated

import typer

from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ActdError
from actd.host import machine
from actd.interrupts import Interrupts
from actd.sim.aloha import AlohaSim
from actd.sim.scene import BAR
from bench import harness
from bench.bars import Bar
from bench.closed_loop import page, realtime
from bench.closed_loop.cells import FIRST_UNTOUCHED, Cell, Task, claims, main_of, moments, plan
from bench.closed_loop.contestants import Contestants
from bench.closed_loop.lockstep import Stage
from bench.closed_loop.outcome import metrics
from bench.closed_loop.results import Results, read_all
from bench.lerobot_peer import VARIABLE, interpreter

RESULTS = harness.RESULTS / "closed_loop"
ROUND = 10
"""Places that every cell plays before any goes on: an interrupted bench leaves whole pairs."""


def main(
    *,
    engines: Annotated[
        Path, typer.Option(help="Folder of engine folders, all of one policy.")
    ] = Path("engines/demo"),
    places: Annotated[
        int, typer.Option(min=1, help="Where engines are compared, and of --untouched.")
    ] = 200,
    survey: Annotated[int, typer.Option(min=1, help="Places of every other cell.")] = 60,
    only: Annotated[
        str, typer.Option(help="Only cells with one of these in their name, with commas.")
    ] = "",
    threads: Annotated[int, typer.Option(min=1, help="Of an engine.")] = 1,
    untouched: Annotated[
        bool, typer.Option("--untouched", help="What is claimed, at places that chose nothing.")
    ] = False,
    in_real_time: Annotated[
        bool, typer.Option("--realtime", help="The real daemon against LeRobot's loop instead.")
    ] = False,
    seconds: Annotated[float, typer.Option(min=10, help="--realtime: how long each plays.")] = 300,
    load: Annotated[int, typer.Option(min=0, help="--realtime: busy processes beside.")] = 2,
    infer_ms: Annotated[
        float | None, typer.Option(min=1, help="--realtime: so long computes an inference.")
    ] = None,
    shift_cm: Annotated[
        int, typer.Option(min=0, max=10, help="--realtime: so far is the bar moved after 1 s.")
    ] = 0,
    write_page: Annotated[bool, typer.Option("--page", help="Write docs/proof.md.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the results.")] = None,
) -> None:
    """Play the cells that are not there yet, and hold them against the bars."""
    folder = out or RESULTS / ("untouched" if untouched else "demo")
    try:
        with Interrupts():
            if write_page:
                page.write(RESULTS)
                return
            folders = _engines(engines)
            if in_real_time:
                main_engine = folders[main_of(list(folders))]
                conditions = realtime.Conditions(seconds, load, infer_ms, shift_cm)
                status = realtime.bench(main_engine, conditions, folder / "bars", as_json=as_json)
            else:
                has_lerobot = interpreter() is not None
                if untouched:
                    first, engine = FIRST_UNTOUCHED, main_of(list(folders))
                    tasks = [Task(cell, places) for cell in claims(engine, has_lerobot=has_lerobot)]
                    others = moments(engine, has_lerobot=has_lerobot)
                    tasks += [Task(cell, survey) for cell in others]
                else:
                    first = 0
                    tasks = plan(
                        list(folders), has_lerobot=has_lerobot, places=places, survey=survey
                    )
                results = Results(folder, _policy(folders), machine(), first)
                _play(_chosen(tasks, only), folders, results, threads)
                options = harness.Options(1, as_json, folder / "bars" / "closed_loop.json")
                # With one engine there is nothing to compare.
                bars: dict[str, Bar] | None = {} if untouched or len(folders) == 1 else None
                shares = metrics(read_all(folder))
                status = harness.report("closed_loop", shares, options, bars=bars)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; what is done is in {folder}", err=True)
        raise typer.Exit(130) from None
    except (ActdError, RuntimeError, OSError) as error:
        typer.echo(f"bench.closed_loop: {error}", err=True)
        raise typer.Exit(1) from None
    raise typer.Exit(status)


def _chosen(tasks: Sequence[Task], only: str) -> list[Task]:
    words = only.split(",")
    chosen = [task for task in tasks if any(word in task.cell.name for word in words)]
    if not chosen:
        names = ", ".join(task.cell.name for task in tasks)
        raise ActdError(f"--only {only}: no such cell; they are {names}")
    return chosen


def _engines(folder: Path) -> dict[str, Path]:
    engines = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{MANIFEST}"))}
    if not engines:
        raise ActdError(f"--engines {folder}: no engine folder in it; write some with: actd export")
    return engines


def _policy(engines: dict[str, Path]) -> str:
    identities = {read_manifest(path).source.identity: name for name, path in engines.items()}
    if len(identities) > 1:
        names = " and ".join(identities.values())
        raise ActdError(f"--engines: {names} are of different policies; give one policy's")
    return next(iter(identities))


def _play(tasks: Sequence[Task], engines: dict[str, Path], results: Results, threads: int) -> None:
    """Play what is missing in every cell, a round after the other."""
    python = interpreter()
    if python is None:
        typer.echo(f"without LeRobot's loops: {VARIABLE} names no interpreter", err=True)
    most = max(task.places for task in tasks)
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-loop-")))
        stage = Stage(stack.enter_context(closing(AlohaSim(BAR))))
        contestants = Contestants(engines, python, threads, stack, scratch)
        for places in (*range(ROUND, most, ROUND), most):
            start_s = time.monotonic()
            played = sum(
                _play_cell(task.cell, min(places, task.places), contestants, stage, results)
                for task in tasks
            )
            if played:
                each_s = (time.monotonic() - start_s) / played
                typer.echo(f"{places} of {most} places, {each_s:.2f} s an attempt", err=True)


def _play_cell(
    cell: Cell, places: int, contestants: Contestants, stage: Stage, results: Results
) -> int:
    """Play up to `places`; how many were missing."""
    result = results.of(cell)
    missing = range(len(result.attempts), places)
    if not missing:
        return 0
    driver = contestants.driver(cell)
    for number in missing:
        attempt = stage.attempt(driver, results.first + number, cell.shift_cm, cell.shift_ms)
        result.attempts.append(attempt)
        results.write(result)
    return len(missing)


if __name__ == "__main__":
    typer.run(main)
