"""Is every control tick on time while inference saturates the computer?

`python -m bench.tick --hz 100,200,500 --seconds 60 --load inference --json`. Beside the real
daemon (two cameras, an int8 ACT, a robot that listens) the same rate is kept by a LeRobot-style
loop with inference in it, the same with inference in a thread, a uvloop timer, and a bare
real-time loop that shows what the computer itself does to a tick (see bench.peers). They take
turns of a few seconds while the others are stopped, so that what disturbs the computer disturbs
them all.

Lateness is what cyclictest calls latency: the time a tick woke minus the time it was due. actd's
figures come from its own flight recording: also its work, from waking to the message sent, and
what lies between a frame's capture and the first tick that uses it beyond the inference itself.
With `--load none` no loop infers, and no bar is held.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from actd.mode import Mode
from actd.runtime.clock import now_ns
from actd.runtime.cores import Asked, share
from actd.runtime.realtime import fifo_can_be_had
from bench import harness, stage
from bench.bars import BARS
from bench.contestants import Contestant, Daemon, Setting, Window, inside, maker
from bench.peers import LOOPS

TURN_S = 10.0
SETTLE_S = 1.5
FIFO_PRIORITY = 60


def bench(  # noqa: PLR0917
    hz: Annotated[str, typer.Option(help="Rates, by comma.")] = "100,200,500",
    seconds: Annotated[float, typer.Option(min=1, help="How long each loop is measured.")] = 60,
    load: Annotated[str, typer.Option(help="inference or none.")] = "inference",
    loops: Annotated[str, typer.Option(help="Peers beside actd, by comma.")] = ",".join(LOOPS),
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    out: Annotated[Path | None, typer.Option(help="File for the JSON result.")] = None,
) -> None:
    """Measure every rate and hold actd's figures against the bars."""
    peers = [name for name in loops.split(",") if name]
    if load not in ("inference", "none") or not set(peers) <= set(LOOPS):
        raise typer.BadParameter(f"--load: inference or none; --loops: {', '.join(LOOPS)}")
    rows: list[dict[str, Any]] = []
    metrics: dict[str, float] = {}
    realtime: Mapping[str, Any] = {}
    for rate in map(float, hz.split(",")):
        found, figures, realtime = measure(rate, seconds, load == "inference", peers)
        rows += found
        metrics |= figures
    if not as_json:
        _show(rows)
    options = harness.Options(rounds=1, as_json=as_json, out=out)
    # A bar is for a rate under load; rates that were not asked for have none.
    held = {name: bar for name, bar in BARS["tick"].items() if name in metrics}
    bars = held if load == "inference" else {}
    extra = {"rows": rows, "load": load, "realtime": dict(realtime)}
    raise typer.Exit(harness.report("tick", metrics, options, bars=bars, extra=extra))


def measure(
    hz: float, seconds: float, infer: bool, peers: Sequence[str]
) -> tuple[list[dict[str, Any]], dict[str, float], Mapping[str, Any]]:
    """All loops at one rate: their rows, actd's further figures, what realtime was granted."""
    fifo = fifo_can_be_had("prefer", FIFO_PRIORITY)
    threads = share(os.sched_getaffinity(0), Asked(), fifo=fifo).threads
    engine = stage.engine()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-tick-")))
        setting = Setting(hz, infer, engine, threads, stage.videos(scratch), scratch)
        contestants = []
        for name in ("actd", *peers):
            contestant = maker(name)(setting, stack)
            contestant.resume()
            contestant.pause()
            contestants.append(contestant)
        ticks, windows = _take_turns(contestants, seconds)
        rows = [row(name, hz, found) for name, found in ticks.items()]
        daemon = contestants[0]
        if not isinstance(daemon, Daemon):
            raise TypeError(f"{daemon.name} is not the daemon")
        return rows, _figures(hz, daemon, windows, rows), daemon.realtime


def _take_turns(
    contestants: Sequence[Contestant], seconds: float
) -> tuple[dict[str, list[NDArray[Any]]], list[Window]]:
    """The ticks of every turn by contestant, and when the turns of the first were."""
    turns = max(1, round(seconds / TURN_S))
    ticks: dict[str, list[NDArray[Any]]] = {each.name: [] for each in contestants}
    windows: list[Window] = []
    for turn in range(turns):
        first = turn % len(contestants)
        for contestant in (*contestants[first:], *contestants[:first]):
            contestant.resume()
            time.sleep(SETTLE_S)
            began_ns = now_ns()
            time.sleep(seconds / turns)
            window = (began_ns, now_ns())
            time.sleep(0.1)  # what it writes down later than it does it
            contestant.pause()
            ticks[contestant.name].append(contestant.ticks(window))
            if contestant is contestants[0]:
                windows.append(window)
    return ticks, windows


def row(loop: str, hz: float, turns: Sequence[NDArray[Any]]) -> dict[str, Any]:
    """One loop's lateness at one rate, in us. `missed` are slots that no tick came in."""
    late_us = np.concatenate([ticks["late_ns"] for ticks in turns]) / 1e3
    missed = sum(int(ticks["missed"][-1] - ticks["missed"][0]) for ticks in turns if len(ticks))
    shown_hz = int(hz) if hz == int(hz) else hz
    if not len(late_us):
        return {"loop": loop, "hz": shown_hz, "n": 0, "missed": missed}
    p50, p99, p999 = np.percentile(late_us, (50, 99, 99.9), method="higher")
    tails = {"p50_us": p50, "p99_us": p99, "p999_us": p999, "max_us": late_us.max()}
    return {
        "loop": loop,
        "hz": shown_hz,
        **{name: round(float(value), 1) for name, value in tails.items()},
        "missed": missed,
        "n": len(late_us),
    }


def _figures(
    hz: float, daemon: Daemon, windows: Sequence[Window], rows: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    flight = daemon.flight()
    ticks = np.concatenate([inside(flight.ticks, window) for window in windows])
    by_loop = {found["loop"]: found for found in rows}
    own = by_loop["actd"]
    work_us = (ticks["sent_ns"] - ticks["wake_ns"]) / 1e3
    figures = {
        "p999_us": own["p999_us"],
        "missed": own["missed"],
        "work_p50_us": float(np.percentile(work_us, 50)),
        "work_p99_us": float(np.percentile(work_us, 99)),
        "armed_share": float((ticks["mode"] == Mode.ARMED).mean()),
    }
    if "lerobot-sleep" in by_loop:
        figures["ratio"] = by_loop["lerobot-sleep"]["p999_us"] / max(own["p999_us"], 0.1)
    over_ms = frame_over_ms(flight.plans, flight.ticks, windows, 1e9 / hz)
    if len(over_ms):
        figures["frame_over_ms"] = float(np.percentile(over_ms, 99))
    return {f"actd.{hz:g}.{name}": float(value) for name, value in figures.items()}


def frame_over_ms(
    plans: NDArray[Any], ticks: NDArray[Any], windows: Sequence[Window], period_ns: float
) -> NDArray[np.float64]:
    """Per plan, in ms: from its frame's capture to the first tick that has it, less the inference
    time and one period. (n,) for the n plans that were begun in a window.
    """
    started_ns = plans["started_ns"]
    begun = np.zeros(len(plans), bool)
    for first_ns, last_ns in windows:
        begun |= (started_ns >= first_ns) & (started_ns + plans["infer_ns"] < last_ns)
    first = np.searchsorted(ticks["newest_plan"], plans["number"])
    known = begun & (first < len(ticks))
    used_ns = ticks["wake_ns"][first[known]]
    took_ns = used_ns - plans["t_observation_ns"][known] - plans["infer_ns"][known]
    over: NDArray[np.float64] = (took_ns - period_ns) / 1e6
    return over


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    columns = ("loop", "hz", "p50_us", "p99_us", "p999_us", "max_us", "missed", "n")
    table = Table(*columns, title="lateness")
    for found in rows:
        table.add_row(*(f"{found.get(column, '')}" for column in columns))
    Console().print(table)


if __name__ == "__main__":
    typer.run(bench)
