"""The processes of a lateness measurement: `python -m actd.doctor.loop_process loop|engine`.

The job comes as a line of JSON on stdin; a loop's result goes as one to stdout. `engine` says
when it is warm and infers until it is killed. Each ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from actd import crash
from actd.codec import decode, encode
from actd.errors import ActdError
from actd.host import end_with_parent
from actd.runtime import realtime
from actd.runtime.clock import now_ns, sleep_until_ns
from actd.runtime.cores import Placement
from actd.runtime.realtime import Wish
from actd.runtime.schedule import Schedule, period_of
from actd.timing import Percentiles, percentiles


@dataclass(frozen=True, slots=True)
class LoopJob:
    """A loop from `start_ns` on CLOCK_MONOTONIC. `wish` None: it asks for nothing at all.

    `cores` (): those of the process that starts it.
    """

    rate_hz: float
    seconds: float
    start_ns: int
    wish: Wish | None
    priority: int
    cores: tuple[int, ...]


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
    late_ns = []
    for _ in range(max(1, round(job.seconds * job.rate_hz))):
        sleep_until_ns(schedule.due_ns)
        late_ns.append(schedule.arrive(now_ns()))
        schedule.advance()
    return LoopResult(percentiles(late_ns), schedule.missed, granted)


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
    data = json.loads(sys.stdin.readline())
    try:
        if role == "engine":
            run_engine(decode(EngineJob, data))
        else:
            sys.stdout.write(json.dumps(encode(run_loop(decode(LoopJob, data)))) + "\n")
    except ActdError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
