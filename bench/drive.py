"""How evenly does `actd drive` serve a bus, beside a loop that only serves the bus?

`python -m bench.drive [--hz 50] [--seconds 60] [--bus-ms 5]`. A daemon with two cameras and an int8
ACT infers without a pause; `actd drive` drives an arm whose bus takes `--bus-ms` a cycle. In the
same seconds a bare loop keeps the same rate on a bus of its own, at absolute times, with the same
priority, and without a daemon: what it is off, the computer and Python are. Where
`ACTD_LEROBOT_PYTHON` names an interpreter with LeRobot, its record loop with an eager ACT of the
same size follows for as long, beside a bare loop of its own (bench.lerobot_bus). Period error is
the distance of a period from the nominal one.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from actd.client import Operator, realtime
from actd.drive.cycle_times import CycleTimes
from actd.errors import ActdError, LinkError
from actd.evaluation.engine_cache import default_source
from actd.link.sockets import free_ports
from actd.runtime.clock import now_ns, sleep_until_ns
from actd.runtime.schedule import Schedule, period_of
from bench import harness, stage
from bench.bus import BUS_MS, Arm
from bench.contestants import Setting, write_config
from bench.lerobot_peer import Peer, interpreter

PRIORITY = 10
_START_S = 60.0
_THREADS = 2


def bare(hz: float) -> None:
    """Serve a bus until SIGINT, then print what `actd drive --json` prints."""
    arm, times = Arm(), CycleTimes(round(1e9 / hz))
    over: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: over.append(number))
    realtime(PRIORITY, lock_memory=False)
    schedule = Schedule(period_of(hz), now_ns())
    while not over:
        sleep_until_ns(schedule.due_ns)
        schedule.arrive(now_ns())
        times.begin(time.monotonic_ns())
        arm.command(arm.read())
        schedule.advance()
    sys.stdout.write(f"{json.dumps(times.summary())}\n")


def bench(  # noqa: PLR0917
    hz: Annotated[float, typer.Option(help="Rate of the daemon, and of the bare loop.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="How long both are measured.")] = 60,
    bus_ms: Annotated[float, typer.Option(min=0, help="What the bus takes a cycle.")] = 5,
    wish: Annotated[
        Literal["prefer", "off"], typer.Option("--realtime", help="SCHED_FIFO of all loops.")
    ] = "prefer",
    as_json: harness.AsJson = False,
    out: harness.Out = None,
) -> None:
    """Measure both loops in the same seconds."""
    try:
        interpreter()
    except ActdError as error:
        sys.exit(str(error))
    os.environ[BUS_MS] = str(bus_ms)
    with tempfile.TemporaryDirectory(prefix="bench-drive-") as folder, ExitStack() as stack:
        scratch = Path(folder)
        videos = stage.videos(scratch)
        engine = stage.engine()
        setting = Setting(hz, True, engine, wish, False, "ordinary", videos, scratch)
        found = _measure(setting, seconds, wish, stack)
        found |= _measure_lerobot(setting, seconds, wish, stack)
    metrics = {
        f"{loop}.{name}": value
        for loop, summary in found.items()
        for name, value in _flat(summary).items()
    }
    options = harness.Options(rounds=1, as_json=as_json, out=out)
    raise typer.Exit(harness.report("drive", metrics, options, extra={"bus_ms": bus_ms}))


def _measure(
    setting: Setting, seconds: float, wish: str, stack: ExitStack
) -> dict[str, dict[str, Any]]:
    ports = free_ports()
    config = setting.scratch / "actd.yaml"
    write_config(setting, ports, config, setting.scratch / "flights")

    def start(name: str, *command: str) -> stage.Process:
        process = stage.Process([sys.executable, *command], setting.scratch / f"{name}.log")
        stack.callback(process.end)
        return process

    daemon = start("daemon", "-m", "actd", "run", str(config))
    numbers = ",".join(map(str, asdict(ports).values()))
    with Operator(ports=ports, timeout_s=2.0) as operator:
        _until(lambda: bool(operator.status()["ready"]), daemon)
        words = ["bench.bus:Arm", "--ports", numbers, "--realtime", wish, "--json"]
        loops = {
            "drive": start("drive", "-m", "actd", "drive", *words),
            "bare": start("bare", "-c", f"from bench.drive import bare; bare({setting.hz})"),
        }
        _until(lambda: bool(operator.arm()), daemon)
        time.sleep(seconds)
        mode = operator.status()["mode"]
    for process in (daemon, *loops.values()):
        process.check()
    if mode != "ARMED":
        sys.exit(f"the daemon is {mode}, not ARMED; see why with the same commands by hand")
    summaries = {name: _summary(process) for name, process in loops.items()}
    daemon.end()
    return summaries


def _measure_lerobot(
    setting: Setting, seconds: float, wish: str, stack: ExitStack
) -> dict[str, dict[str, Any]]:
    python = interpreter()
    if python is None:
        return {}
    checkpoint = default_source(partial(print, file=sys.stderr)).path
    job = {
        "checkpoint": str(checkpoint),
        "threads": _THREADS,
        "hz": setting.hz,
        "realtime": wish == "prefer",
    }
    program = Path(__file__).with_name("lerobot_bus.py")
    with Peer(python, program, job, setting.scratch) as lerobot:
        words = ["-c", f"from bench.drive import bare; bare({setting.hz})"]
        bare = stage.Process([sys.executable, *words], setting.scratch / "bare_beside_lerobot.log")
        stack.callback(bare.end)
        time.sleep(seconds)
        return {"lerobot": lerobot.finish(), "bare_beside_lerobot": _summary(bare)}


def _summary(process: stage.Process) -> dict[str, Any]:
    """What a loop prints when it is asked to end."""
    os.kill(process.pid, signal.SIGINT)
    process.wait()
    summary: dict[str, Any] = json.loads(process.log.read_text().splitlines()[-1])
    return summary


def _until(done: Any, process: stage.Process) -> None:
    deadline_s = time.monotonic() + _START_S
    while True:
        process.check()
        with suppress(LinkError):  # not listening yet, or not ready for that
            if done():
                return
        if time.monotonic() > deadline_s:
            sys.exit(f"the daemon is not ready after {_START_S:g} s")
        time.sleep(0.2)


def _flat(summary: Mapping[str, Any]) -> dict[str, float]:
    figures = {name: float(summary[name]) for name in ("cycles", "rate_hz")}
    return figures | {f"period_error_ms.{q}": v for q, v in summary["period_error_ms"].items()}


if __name__ == "__main__":
    typer.run(bench)
