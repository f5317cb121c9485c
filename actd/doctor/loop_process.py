"""The processes of a lateness measurement: `python -m actd.doctor.loop_process ROLE`.

The job comes as a line of JSON on stdin. A `loop`'s result goes as one to stdout; `engine` says
when it is warm and infers until it is killed; `arm` is a simulated arm, and `burn` keeps a core
busy. Each ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from actd import crash
from actd.client import Robot
from actd.codec import decode, encode
from actd.errors import ActdError
from actd.host import end_with_parent
from actd.link.sockets import Ports
from actd.runtime import realtime
from actd.runtime.clock import now_ns, sleep_until_ns
from actd.runtime.cores import Placement
from actd.runtime.realtime import Wish
from actd.runtime.schedule import Schedule, period_of
from actd.timing import Percentiles, percentiles

WAKE_UP = np.dtype([("due_ns", "<i8"), ("late_ns", "<i8")])
_WAIT_S = 0.1
_BURNED = 1 << 20  # numbers: more than a core's own cache


@dataclass(frozen=True, slots=True)
class LoopJob:
    """A loop from `start_ns` on CLOCK_MONOTONIC. `wish` None: it asks for nothing at all.

    `cores` (): those of the process that starts it. `file`: a .npy of `WAKE_UP` records is written
    there, also where SIGTERM ends the loop before its time.
    """

    rate_hz: float
    seconds: float
    start_ns: int
    wish: Wish | None
    priority: int
    cores: tuple[int, ...]
    file: str = ""


@dataclass(frozen=True, slots=True)
class ArmJob:
    """A simulated arm that is at once where it is told to be, and begins at `positions`.

    `state_names`, `env_dim`: what else of its state the policy sees; all of it stays 0.
    """

    robot: str
    ports: Ports
    positions: Mapping[str, float]
    state_names: tuple[str, ...]
    env_dim: int


@dataclass(frozen=True, slots=True)
class EngineJob:
    """An engine that infers without a pause."""

    folder: str
    threads: int
    placement: Placement


@dataclass(frozen=True, slots=True)
class LoopResult:
    """How late a loop woke, how many slots it missed, and what the kernel granted it."""

    lateness: Percentiles
    missed: int
    granted: Mapping[str, str] = field(default_factory=dict)


def run_loop(job: LoopJob) -> LoopResult:
    """Sleep to absolute deadlines, as the daemon's tick does, and do nothing else."""
    granted: realtime.Outcome = {}
    if job.wish is not None:
        cores = job.cores or tuple(os.sched_getaffinity(0))
        granted = realtime.request(job.wish, job.priority, cores)
    schedule = Schedule(period_of(job.rate_hz), job.start_ns)
    wakes = np.zeros(max(1, round(job.seconds * job.rate_hz)), WAKE_UP)
    wakes["late_ns"] = -1  # its pages are there now
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked_to_end.set())
    count = 0
    while count < len(wakes) and not asked_to_end.is_set():
        due_ns = schedule.due_ns
        sleep_until_ns(due_ns)
        wakes[count] = due_ns, schedule.arrive(now_ns())
        schedule.advance()
        count += 1
    if job.file:
        np.save(job.file, wakes[:count])
    return LoopResult(percentiles(wakes["late_ns"][:count]), schedule.missed, granted)


def run_arm(job: ArmJob) -> None:
    """Follow until killed."""
    positions = dict(job.positions)
    rest = dict.fromkeys(job.state_names, 0.0)
    with Robot(job.robot, ports=job.ports) as robot:
        while True:
            action = robot.receive(_WAIT_S)
            if action is not None and action.moves:
                positions |= action.action
            robot.send_state(rest | positions, [0.0] * job.env_dim)


def burn() -> None:
    """Compute until killed."""
    values = np.ones(_BURNED)
    while True:
        values *= 1.000001


def run_engine(job: EngineJob) -> None:
    """Infer until killed."""
    from actd.engine.load import load_engine
    from actd.engine.observations import blank

    realtime.settle(job.placement)
    engine = load_engine(Path(job.folder), threads=job.threads)
    observation = blank(engine.spec)
    engine.infer(observation)
    sys.stdout.write("warm\n")
    sys.stdout.flush()
    while True:
        engine.infer(observation)


def main(role: str) -> None:
    """Run one process to its end; exits 1 with the reason on stderr."""
    crash.install()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started us
    end_with_parent(signal.SIGKILL)
    data = json.loads(sys.stdin.readline() or "null")
    try:
        if role == "engine":
            run_engine(decode(EngineJob, data))
        elif role == "arm":
            run_arm(decode(ArmJob, data))
        elif role == "burn":
            burn()
        else:
            sys.stdout.write(json.dumps(encode(run_loop(decode(LoopJob, data)))) + "\n")
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
