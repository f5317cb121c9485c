"""The loops that actd's tick is compared with, each a process of its own, and the arm for all.

`python -m bench.peers JOB`, JOB as JSON; ends when killed. Every loop does per tick what actd's
does on the wire: take in the newest robot state, send one packed action by ZeroMQ. Cameras are
read in threads, as LeRobot does, and the engine and its threads are those of actd. None of them
has actd's planner and guard to compute.

bare-fifo        nothing but sleeping and waking with SCHED_FIFO, beside inference in another
                 process: what the computer itself does to a tick
lerobot-sleep    LeRobot's loop: observe, infer in the loop when the queue of actions is empty,
                 send, sleep for what is left of the period
lerobot-thread   the same loop with inference in a thread of the same process
uvloop           call_at on uvloop at absolute times, inference in a thread

A loop that sleeps for the rest of its period has no schedule but its own: its tick is due one
period after it last woke, so drift is forgiven. The others are held against absolute times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
import zmq
from numpy.typing import NDArray

from actd.cameras.config import CameraConfig
from actd.cameras.make import make_camera
from actd.client import Robot
from actd.engine.load import load_engine
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.mode import Mode
from actd.runtime import realtime
from actd.runtime.clock import now_ns, sleep_until_ns, unix_s
from actd.runtime.schedule import Schedule, period_of
from actd.runtime.shm import Ring

RECORD = np.dtype([("wake_ns", "<i8"), ("late_ns", "<i8"), ("sent_ns", "<i8"), ("missed", "<i8")])
SLOTS = 1 << 16
POLICY_HZ = 50
_ARM_PERIOD_S = 0.01
_PRIORITY = 60
_INFERENCE_NICE = 15


class Side:
    """What every loop has: the wire, cameras, an engine, and the record of its ticks."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        context: zmq.Context[Any] = zmq.Context()
        ports = sockets.Ports(*job["ports"])
        self._states = sockets.newest(
            context, sockets.endpoint("127.0.0.1", ports.state), bind=True
        )
        self._actions = sockets.publisher(context, sockets.endpoint("127.0.0.1", ports.actions))
        self._joints: list[str] = job["joints"]
        self._pose = dict.fromkeys(self._joints, 0.0)
        self._ring = Ring(RECORD, SLOTS, fd=job["fd"])
        self._frames: dict[str, NDArray[np.uint8]] = {}
        self._seq = 0
        self.infers: bool = job["infer"]
        self.hz: float = job["hz"]
        self._engine = load_engine(Path(job["engine"]), threads=job["threads"])
        for name, video in job["videos"].items():
            threading.Thread(target=self._watch, args=(name, video), daemon=True).start()
        while len(self._frames) < len(job["videos"]):
            time.sleep(0.01)

    def _watch(self, name: str, video: str) -> None:
        camera = make_camera(name, CameraConfig(type="opencv", index_or_path=video, fps=30))
        camera.open()
        while True:
            self._frames[name] = camera.read().data

    def read_state(self) -> None:
        """Take in the newest state, if there is one."""
        with suppress(zmq.Again, LinkError):
            self._pose = messages.parse_state(self._states.recv(zmq.DONTWAIT)).state

    def infer(self) -> NDArray[np.float32]:
        """One chunk from what is known now; zeros where the bench is without inference."""
        spec = self._engine.spec
        if not self.infers:
            return np.zeros((spec.chunk_size, spec.action_dim), np.float32)
        values: dict[str, Any] = {f.key: self._frames[f.camera] for f in spec.cameras}
        pose = np.array([self._pose[name] for name in self._joints], np.float32)
        return self._engine.infer(values | {f.key: pose for f in spec.vectors})

    def send(self, row: NDArray[np.float32], wake_ns: int, late_ns: int, missed: int) -> None:
        """Send one action and write the tick down."""
        self._seq += 1
        action = messages.Action(
            seq=self._seq,
            t=unix_s(),
            t_mono_ns=now_ns(),
            ttl_ms=100.0,
            mode=Mode.ARMED,
            action=dict(zip(self._joints, row.tolist(), strict=True)),
            plan=1,
            age_ms=0.0,
            n=1,
            infer_ms=0.0,
            late_us=late_ns / 1e3,
            flags=0,
        )
        self._actions.send(messages.pack_action(action), zmq.DONTWAIT)
        self._ring.write_flat(wake_ns, late_ns, now_ns(), missed)


class Planning:
    """Inference in a thread: chunk after chunk, and the row that is due."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._plan = (now_ns(), side.infer())
        if side.infers:
            threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        while True:
            observed_ns = now_ns()
            self._plan = (observed_ns, self._side.infer())

    def row(self, due_ns: int) -> NDArray[np.float32]:
        """What the newest chunk says for this moment."""
        observed_ns, actions = self._plan
        row: NDArray[np.float32] = actions[
            min(int((due_ns - observed_ns) * POLICY_HZ / 1e9), len(actions) - 1)
        ]
        return row


def _sleeping(hz: float) -> Iterator[tuple[int, int, int]]:
    """LeRobot's way of keeping a rate; yields (wake_ns, late_ns, missed) for every tick."""
    period_ns = round(1e9 / hz)
    missed, due_ns = 0, now_ns()
    while True:
        wake_ns = now_ns()
        late_ns = max(0, wake_ns - due_ns)
        missed += late_ns // period_ns
        yield wake_ns, late_ns, missed
        due_ns = wake_ns + period_ns
        left_s = 1 / hz - (now_ns() - wake_ns) / 1e9
        if left_s > 0:
            time.sleep(left_s)


def lerobot_sleep(side: Side) -> None:
    """Inference in the loop."""
    queue: deque[NDArray[np.float32]] = deque()
    for wake_ns, late_ns, missed in _sleeping(side.hz):
        side.read_state()
        if not queue:
            queue.extend(side.infer())
        side.send(queue.popleft(), wake_ns, late_ns, missed)


def lerobot_thread(side: Side) -> None:
    """Inference beside the loop."""
    planning = Planning(side)
    for wake_ns, late_ns, missed in _sleeping(side.hz):
        side.read_state()
        side.send(planning.row(wake_ns), wake_ns, late_ns, missed)


def uvloop_timer(side: Side) -> None:
    """A timer of the event loop."""
    planning = Planning(side)
    schedule = Schedule(period_of(side.hz), now_ns() + 100_000_000)
    loop = uvloop.new_event_loop()

    def tick() -> None:
        wake_ns = now_ns()
        late_ns = max(0, schedule.arrive(wake_ns))
        side.read_state()
        side.send(planning.row(wake_ns), wake_ns, late_ns, schedule.missed)
        schedule.advance()
        loop.call_at(schedule.due_ns / 1e9, tick)

    loop.call_at(schedule.due_ns / 1e9, tick)
    loop.run_forever()


def bare_fifo(job: Mapping[str, Any]) -> None:
    """Only the clock; its inference is a child of the same process group."""
    command = [sys.executable, "-m", "bench.peers", json.dumps({**job, "loop": "load"})]
    load = subprocess.Popen(command, stdout=subprocess.PIPE, pass_fds=(job["fd"],))
    if load.stdout is None or not load.stdout.readline():
        sys.exit("the inference of bare-fifo did not start")
    realtime.request("prefer", _PRIORITY, tuple(sorted(os.sched_getaffinity(0))[-1:]))
    ring = Ring(RECORD, SLOTS, fd=job["fd"])
    schedule = Schedule(period_of(job["hz"]), now_ns() + 100_000_000)
    while True:
        sleep_until_ns(schedule.due_ns)
        wake_ns = now_ns()
        late_ns = max(0, schedule.arrive(wake_ns))
        ring.write_flat(wake_ns, late_ns, wake_ns, schedule.missed)
        schedule.advance()


def load(job: Mapping[str, Any]) -> None:
    """Inference without a pause, niced as actd's is; says when it has begun."""
    os.setpriority(os.PRIO_PROCESS, 0, _INFERENCE_NICE)
    side = Side(job)
    side.infer()
    sys.stdout.write("running\n")
    sys.stdout.flush()
    while True:
        side.infer()
        if not side.infers:
            time.sleep(1)


def _on_the_wire(loop: Callable[[Side], None]) -> Callable[[Mapping[str, Any]], None]:
    return lambda job: loop(Side(job))


LOOPS: Mapping[str, Callable[[Mapping[str, Any]], None]] = {
    "bare-fifo": bare_fifo,
    "lerobot-sleep": _on_the_wire(lerobot_sleep),
    "lerobot-thread": _on_the_wire(lerobot_thread),
    "uvloop": _on_the_wire(uvloop_timer),
}


def arm(job: Mapping[str, Any]) -> None:
    """The robot: listens, is where it was told to be, and says so a hundred times a second."""
    pose = dict.fromkeys(job["joints"], 0.0)
    with Robot(ports=sockets.Ports(*job["ports"])) as robot:
        while True:
            action = robot.receive()
            if action is not None and action.moves:
                pose = action.action
            if job["infer"]:
                robot.send_state(pose)
            time.sleep(_ARM_PERIOD_S)


if __name__ == "__main__":
    found: dict[str, Any] = json.loads(sys.argv[1])
    {**LOOPS, "arm": arm, "load": load}[found["loop"]](found)
