"""Is every control tick on time while inference saturates the computer, and at what price?

`python -m bench.tick --hz 50,100,200,500 --seconds 60`. The real daemon (two cameras, an int8
ACT, an arm that follows) takes turns of a few seconds with others that keep the same rate, so
that what disturbs the computer disturbs them all:

actd, bare     the daemon, and a loop that does the same on the wire and decides nothing, beside
               the same inference (bench.bare)
watched        the daemon with three browsers on its dashboard, /metrics scraped every second,
               `actd top` and the dataset recorder: looking must cost nothing
engine         that inference alone, with the cameras: what a daemon adds to a chunk's time
lerobot-sleep, lerobot-thread, uvloop      what people write (bench.peers)

Lateness is counted at three moments: the process woke, the action was handed to the socket, the
arm's program had it (bench.lateness). `cpu` is the share of one processor that the process that
ticks takes; a LeRobot-style loop's has its inference in it. An ordinary user's figures are those
with `--unprivileged`. Bars are held under load and with SCHED_FIFO; `--load none` infers nothing.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from actd.interrupts import Interrupts
from actd.mode import Mode
from actd.runtime.clock import now_ns
from bench import harness, stage
from bench.bars import BARS
from bench.contestants import Contestant, Daemon, Setting, maker
from bench.lateness import MOMENTS, Turn, chunk_row, figures, frame_over_ms, row
from bench.peers import LOOPS

OTHERS = ("bare", "engine", "watched", *LOOPS)
USUAL = tuple(name for name in OTHERS if name != "watched")
INFERRING = ("actd", "bare", "engine", "watched")
"""Those whose inference is a process of its own and is timed."""
TURN_S = 10.0
SETTLE_S = 1.5
_US = ("p50_us", "p99_us", "p999_us", "max_us")


@dataclass(frozen=True, slots=True)
class Result:
    """All loops at one rate: their ticks, their chunks, actd's figures, what it was granted."""

    rows: list[dict[str, Any]]
    chunks: list[dict[str, Any]]
    metrics: dict[str, float]
    granted: Mapping[str, Any]


def bench(  # noqa: PLR0917
    hz: Annotated[str, typer.Option(help="Rates, by comma.")] = "50,100,200,500",
    seconds: Annotated[float, typer.Option(min=1, help="How long each loop is measured.")] = 60,
    load: Annotated[
        Literal["inference", "none"], typer.Option(help="What runs beside the loops.")
    ] = "inference",
    loops: Annotated[str, typer.Option(help="Loops beside actd, by comma.")] = ",".join(USUAL),
    engine: Annotated[str, typer.Option(help="Recipe of the engine.")] = stage.ENGINE,
    realtime: Annotated[
        Literal["off", "prefer"], typer.Option(help="Of actd's tick, and of bare.")
    ] = "prefer",
    arm: Annotated[
        Literal["ordinary", "realtime"], typer.Option(help="Whether the arm asks for SCHED_FIFO.")
    ] = "ordinary",
    unprivileged: Annotated[bool, typer.Option(help="Without CAP_SYS_NICE, CAP_IPC_LOCK.")] = False,
    as_json: harness.AsJson = False,
    out: harness.Out = None,
) -> None:
    """Measure every rate and hold actd's figures against the bars."""
    others = [name for name in loops.split(",") if name]
    if not set(others) <= set(OTHERS):
        raise typer.BadParameter(f"--loops: choose from {', '.join(OTHERS)}")
    infer = load == "inference"
    if not infer:
        others = [name for name in others if name != "engine"]
    built = stage.engine(engine)
    results = []
    for rate in map(float, hz.split(",")):
        with Interrupts(), tempfile.TemporaryDirectory(prefix="bench-tick-") as folder:
            scratch = Path(folder)
            videos = stage.videos(scratch)
            setting = Setting(rate, infer, built, realtime, unprivileged, arm, videos, scratch)
            results.append(measure(setting, seconds, others))
    rows = [found for result in results for found in result.rows]
    chunks = [found for result in results for found in result.chunks]
    metrics = {name: value for result in results for name, value in result.metrics.items()}
    if not as_json:
        _show(rows, chunks)
    options = harness.Options(rounds=1, as_json=as_json, out=out)
    granted = results[-1].granted
    # A bar is for SCHED_FIFO at a rate under load; rates that were not asked for have none.
    fifo = granted.get("sched_fifo") == "ok"
    bars = BARS["tick"] if infer and fifo else {}
    held = {name: bar for name, bar in bars.items() if name in metrics}
    extra = {
        "rows": rows,
        "chunks": chunks,
        "load": load,
        "engine": engine,
        "realtime": realtime,
        "unprivileged": unprivileged,
        "arm": arm,
        "granted": dict(granted),
    }
    raise typer.Exit(harness.report("tick", metrics, options, bars=held, extra=extra))


def measure(setting: Setting, seconds: float, others: Sequence[str]) -> Result:
    """All loops at one rate."""
    with ExitStack() as stack:
        contestants = []
        for name in ("actd", *others):
            contestant = maker(name)(setting, stack)
            contestant.resume()
            contestant.pause()
            contestants.append(contestant)
        turns = _take_turns(contestants, seconds)
        daemon = contestants[0]
        if not isinstance(daemon, Daemon):
            raise TypeError(f"{daemon.name} is not the daemon")
        rows = [row(name, setting.hz, found) for name, found in turns.items() if name != "engine"]
        inferring = [name for name in turns if setting.infer and name in INFERRING]
        chunks = [chunk_row(name, setting.hz, turns[name]) for name in inferring]
        metrics = figures(setting.hz, turns, {found["loop"]: found for found in rows})
        metrics |= _of_flight(setting.hz, daemon, turns["actd"])
        return Result(rows, chunks, metrics, daemon.realtime)


def _take_turns(contestants: Sequence[Contestant], seconds: float) -> dict[str, list[Turn]]:
    """What every contestant did in its turns."""
    count = max(1, round(seconds / TURN_S))
    turns: dict[str, list[Turn]] = {each.name: [] for each in contestants}
    for number in range(count):
        first = number % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            contestant.resume()
            time.sleep(SETTLE_S)
            began_ns, before_s = now_ns(), contestant.cpu_s()
            time.sleep(seconds / count)
            window, cpu_s = (began_ns, now_ns()), contestant.cpu_s() - before_s
            time.sleep(0.1)  # what it writes down later than it does it
            contestant.pause()
            turns[contestant.name].append(contestant.turn(window, cpu_s))
            print(f"{contestant.name}: turn {number + 1} of {count}", file=sys.stderr)
    return turns


def _of_flight(hz: float, daemon: Daemon, turns: Sequence[Turn]) -> dict[str, float]:
    """What only actd's own recording tells."""
    flight = daemon.flight()
    ticks = np.concatenate([turn.ticks for turn in turns])
    found = {"armed_share": float((ticks["mode"] == Mode.ARMED).mean())}
    windows = [turn.window for turn in turns]
    over_ms = frame_over_ms(flight.chunks, flight.ticks, windows, 1e9 / hz)
    if len(over_ms):
        found["frame_over_ms"] = float(np.percentile(over_ms, 99))
    return {f"actd.{hz:g}.{name}": value for name, value in found.items()}


def _show(rows: Sequence[Mapping[str, Any]], chunks: Sequence[Mapping[str, Any]]) -> None:
    console = Console()
    table = Table("Hz", "loop", "us late", title="lateness", padding=(0, 0))
    for column in ("p50", "p99", "p99.9", "max", "n", "missed", "lost", "cpu%"):
        table.add_column(column, justify="right")
    for found in rows:
        counts = [f"{found[name]}" for name in ("n", "missed", "lost")]
        head, tail = [f"{found['hz']}", found["loop"]], [*counts, f"{100 * found['cpu']:.1f}"]
        for moment in MOMENTS:
            table.add_row(*head, moment, *(f"{found[moment].get(q, 0):.0f}" for q in _US), *tail)
            head, tail = ["", ""], []
    console.print(table)
    if chunks:
        table = Table("Hz", "loop", title="inference")
        for column in ("p50 ms", "p90 ms", "chunks/s", "n"):
            table.add_column(column, justify="right")
        for found in chunks:
            shown = [
                f"{found.get(name, '')}"
                for name in ("infer_p50_ms", "infer_p90_ms", "chunks_per_s")
            ]
            table.add_row(f"{found['hz']}", found["loop"], *shown, f"{found['n']}")
        console.print(table)


if __name__ == "__main__":
    typer.run(bench)
