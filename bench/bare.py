"""What actd is compared with on the same computer: `python -m bench.bare JOB`, JOB as JSON.

loop     a tick that decides nothing. It sleeps to absolute deadlines as actd's does, with the
         same scheduling, core and phase, and does the same on the wire. What it is late, the
         computer, Python and ZeroMQ are
engine   inference without a daemon: cameras in processes of their own, frames through shared
         memory, a chunk whenever there is a new frame; the same engine, cores, niceness and
         number of threads. What it takes, the computer takes, with the cameras on it
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from actd.cameras.config import OpenCVConfig
from actd.codec import encode
from actd.engine.load import load_engine
from actd.engine.observations import blank
from actd.runtime import realtime
from actd.runtime.camera import CameraSettings
from actd.runtime.channels import FRAME_SLOTS, Shapes, frame_dtype
from actd.runtime.clock import now_ns, sleep_until_ns
from actd.runtime.cores import Placement
from actd.runtime.schedule import Schedule, period_of
from actd.runtime.shm import Ring
from actd.runtime.wakeup import WakeUp
from bench.wire import CHUNK, Wire, ring

_LOOK_S = 0.1
_WARM_UP_RUNS = 6


def first_due_ns() -> int:
    """When a loop that starts now ticks first: as far from the kernel's timer as actd's ticks."""
    return now_ns() // 1_000_000 * 1_000_000 + 100_500_000


def loop(job: Mapping[str, Any]) -> None:
    """Tick until killed."""
    priority = job["priority"]
    realtime.request(job["realtime"], priority, job["cores"]["tick"])
    context: zmq.Context[Any] = zmq.Context()
    if realtime.is_fifo():
        context.set(zmq.THREAD_SCHED_POLICY, os.SCHED_FIFO)
        context.set(zmq.THREAD_PRIORITY, priority - 1)
    wire = Wire(job, context)
    row = np.zeros(len(job["joints"]), np.float32)
    schedule = Schedule(period_of(job["hz"]), first_due_ns())
    while True:
        sleep_until_ns(schedule.due_ns)
        wake_ns = now_ns()
        late_ns = schedule.arrive(wake_ns)
        wire.read_states()
        wire.send(row, wake_ns, late_ns, schedule.missed)
        schedule.advance()


def engine(job: Mapping[str, Any]) -> None:
    """Infer until killed."""
    realtime.settle(Placement(tuple(job["cores"]["inference"]), job["nice"]["inference"]))
    model = load_engine(Path(job["engine"]), threads=job["threads"])
    wakeup = WakeUp()
    rings: dict[str, Ring] = {}
    cameras = []  # named, so that none is collected and ended
    for feature in model.spec.cameras:
        size = feature.boundary_shape[:2]
        rings[feature.key] = Ring(frame_dtype(*size), FRAME_SLOTS, crc=False)
        cameras.append(_camera(job, feature.camera, size, rings[feature.key], wakeup))
    while not job["infer"]:
        signal.pause()
    chunks = ring(job, "chunks", CHUNK)
    values = blank(model.spec)
    for _ in range(_WARM_UP_RUNS):
        model.infer(values)
    seen = [0] * len(rings)
    while True:
        wakeup.wait(_LOOK_S)
        newest = [frames.newest for frames in rings.values()]
        if newest == seen or not all(newest):
            continue
        taken = {key: frames.latest() for key, frames in rings.items()}
        values |= {key: found[1]["pixels"] for key, found in taken.items() if found is not None}
        started_ns = now_ns()
        model.infer(values)
        chunks.write_flat(started_ns, now_ns() - started_ns)
        # As actd, it waits for a frame that is new now.
        seen = [frames.newest for frames in rings.values()]


def _camera(
    job: Mapping[str, Any], name: str, size: tuple[int, ...], frames: Ring, wakeup: WakeUp
) -> subprocess.Popen[bytes]:
    """actd's own camera process. It ends with this one."""
    height, width = size
    video = job["videos"][name]
    config = OpenCVConfig(index_or_path=video, width=width, height=height, fps=30)
    process = subprocess.Popen(
        [sys.executable, "-m", "actd.runtime.process_entry", "actd.runtime.camera"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        pass_fds=(frames.fd, wakeup.fd),
    )
    told = CameraSettings(
        shapes=Shapes({name: (height, width)}, 0, 0, 0, 0),
        fds={f"frame:{name}": frames.fd, "wakeup": wakeup.fd},
        placement=Placement(tuple(job["cores"]["cameras"]), job["nice"]["cameras"]),
        name=name,
        config=config,
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps(encode(told)).encode())
        process.stdin.close()
    return process


if __name__ == "__main__":
    found: dict[str, Any] = json.loads(sys.argv[1])
    {"loop": loop, "engine": engine}[found["loop"]](found)
