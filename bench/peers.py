"""The loops that people write instead, for the tick bench: `python -m bench.peers JOB`.

JOB is JSON; a loop ends when killed. On the wire they do what actd does (see bench.wire).
Cameras are read in threads, as LeRobot does, and the engine and its threads are those of actd.
None of them has actd's planner and limiter to compute.

lerobot-sleep    LeRobot's loop: observe, infer in the loop when the queue of actions is empty,
                 send, sleep for what is left of the period
lerobot-thread   the same loop with inference in a thread of the same process
uvloop           call_at on uvloop at absolute times, inference in a thread

A loop that sleeps for the rest of its period has no schedule but its own: its tick is due one
period after it last woke, so drift is forgiven. The other is held against absolute times.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import uvloop
import zmq
from numpy.typing import NDArray

from actd.cameras.config import OpenCVConfig
from actd.cameras.make import make_camera
from actd.engine.load import load_engine
from actd.runtime.clock import now_ns
from actd.runtime.schedule import Schedule, period_of
from bench.bare import first_due_ns
from bench.wire import Wire

POLICY_HZ = 50


class Side:
    """What every loop has: the wire, cameras and an engine."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.wire = Wire(job, zmq.Context())
        self.infers: bool = job["infer"]
        self.hz: float = job["hz"]
        self._joints: list[str] = job["joints"]
        self._frames: dict[str, NDArray[np.uint8]] = {}
        self._engine = load_engine(Path(job["engine"]), threads=job["threads"])
        for name, video in job["videos"].items():
            threading.Thread(target=self._watch, args=(name, video), daemon=True).start()
        while len(self._frames) < len(job["videos"]):
            time.sleep(0.01)

    def _watch(self, name: str, video: str) -> None:
        camera = make_camera(name, OpenCVConfig(type="opencv", index_or_path=video, fps=30))
        camera.open()
        while True:
            self._frames[name] = camera.read().data

    def infer(self) -> NDArray[np.float32]:
        """One chunk from what is known now; zeros where the bench is without inference."""
        spec = self._engine.spec
        if not self.infers:
            return np.zeros((spec.chunk_size, spec.action_dim), np.float32)
        values: dict[str, Any] = {f.key: self._frames[f.camera] for f in spec.cameras}
        positions = np.array([self.wire.positions[name] for name in self._joints], np.float32)
        return self._engine.infer(values | {f.key: positions for f in spec.vectors})


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
        side.wire.read_states()
        if not queue:
            queue.extend(side.infer())
        side.wire.send(queue.popleft(), wake_ns, late_ns, missed)


def lerobot_thread(side: Side) -> None:
    """Inference beside the loop."""
    planning = Planning(side)
    for wake_ns, late_ns, missed in _sleeping(side.hz):
        side.wire.read_states()
        side.wire.send(planning.row(wake_ns), wake_ns, late_ns, missed)


def uvloop_timer(side: Side) -> None:
    """A timer of the event loop."""
    planning = Planning(side)
    schedule = Schedule(period_of(side.hz), first_due_ns())
    loop = uvloop.new_event_loop()

    def tick() -> None:
        wake_ns = now_ns()
        late_ns = max(0, schedule.arrive(wake_ns))
        side.wire.read_states()
        side.wire.send(planning.row(wake_ns), wake_ns, late_ns, schedule.missed)
        schedule.advance()
        loop.call_at(schedule.due_ns / 1e9, tick)

    loop.call_at(schedule.due_ns / 1e9, tick)
    loop.run_forever()


LOOPS: Mapping[str, Callable[[Side], None]] = {
    "lerobot-sleep": lerobot_sleep,
    "lerobot-thread": lerobot_thread,
    "uvloop": uvloop_timer,
}


if __name__ == "__main__":
    found: dict[str, Any] = json.loads(sys.argv[1])
    LOOPS[found["loop"]](Side(found))
