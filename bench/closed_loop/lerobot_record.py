"""LeRobot's record loop on the demo's robot, in real time: `lerobot_record.py JOB`.

Runs under LeRobot's interpreter. JOB is that of lerobot_policy.py, with the joints, the `hz` of the
policy, the `cameras` by name with their URLs and the `ports` of the wire. Cameras are read in
threads, as LeRobot's are; one iteration observes, asks `select_action`, sends, and sleeps for what
is left of its period. Commands live long on the wire, as a servo holds its last goal.
Lines on standard input are the operator's orders, as in the demo: "arm", "hold", "reset"; each is
answered with the mode and the median time of an inference so far. It ends with its standard input.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import cv2
import numpy as np
import torch
import zmq

from actd.errors import LinkError
from actd.link import messages, sockets
from actd.mode import Mode
from bench.closed_loop.lerobot_policy import Policy
from bench.wire import pack

TTL_MS = 10_000.0
_START_S = 30.0
_MODES = {"arm": Mode.ARMED, "hold": Mode.HOLD, "reset": Mode.IDLE}


class Robot:
    """Cameras, measured joints, and the way to the arm."""

    def __init__(self, job: dict[str, Any]) -> None:
        context: zmq.Context[Any] = zmq.Context()
        ports = sockets.Ports(*job["ports"])
        self._states = sockets.state_receiver(context, sockets.endpoint("127.0.0.1", ports.state))
        self._actions = sockets.publisher(context, sockets.endpoint("127.0.0.1", ports.actions))
        self._joints: list[str] = job["joints"]
        self._positions: dict[str, float] = {}
        self._frames: dict[str, Any] = {}
        self._seq = 0
        for name, url in job["cameras"].items():
            threading.Thread(target=self._watch, args=(name, url), daemon=True).start()
        deadline_s = time.monotonic() + _START_S
        while len(self._frames) < len(job["cameras"]) or not self._positions:
            if time.monotonic() > deadline_s:
                raise RuntimeError("no frames or no state from the simulated robot")
            self._read()
            time.sleep(0.01)

    def get_observation(self) -> dict[str, np.ndarray]:
        """The newest of everything."""
        self._read()
        images = {f"observation.images.{name}": frame for name, frame in self._frames.items()}
        state = np.array([self._positions[name] for name in self._joints], np.float32)
        return images | {"observation.state": state}

    def send_action(self, mode: Mode, action: np.ndarray | None) -> None:
        """To the arm, which keeps to it."""
        self._seq += 1
        values = {} if action is None else dict(zip(self._joints, action.tolist(), strict=True))
        self._actions.send(pack(self._seq, mode, values, ttl_ms=TTL_MS), zmq.DONTWAIT)

    def _read(self) -> None:
        with suppress(zmq.Again):
            while True:
                data = self._states.recv(zmq.DONTWAIT)
                with suppress(LinkError):
                    self._positions = messages.parse_state(data).state

    def _watch(self, name: str, url: str) -> None:
        stream = cv2.VideoCapture(url)
        while True:
            is_read, frame = stream.read()
            if is_read:
                self._frames[name] = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


class Record:
    """The loop. `mode` is what the operator ordered last."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._policy = Policy(job["policy"], job["rows"], job["coeff"])
        self._robot = Robot(job)
        self._period_s = 1 / job["hz"]
        self._action: np.ndarray | None = None
        self.mode = Mode.IDLE
        self.infer_ms: list[float] = []
        for _ in range(3):  # the first inference is a slow one
            self._step(Mode.IDLE, self._robot.get_observation())
        self.infer_ms.clear()

    def run(self) -> None:
        """Until the process ends."""
        before = Mode.IDLE
        while True:
            mode, start_s = self.mode, time.perf_counter()
            # In every mode: what nobody reads stays in the socket, and the newest would be lost.
            observation = self._robot.get_observation()
            if mode is Mode.ARMED:
                if before is not Mode.ARMED:
                    self._policy.reset()
                self._step(mode, observation)
            else:
                self._robot.send_action(mode, self._action if mode is Mode.HOLD else None)
            before = mode
            time.sleep(max(0.0, self._period_s - (time.perf_counter() - start_s)))

    def _step(self, mode: Mode, observation: dict[str, np.ndarray]) -> None:
        infers, start_s = self._policy.is_due, time.perf_counter()
        self._action = self._policy.select_action(observation)
        if infers:
            self.infer_ms.append((time.perf_counter() - start_s) * 1e3)
        self._robot.send_action(mode, self._action if mode is not Mode.IDLE else None)


def main(job: dict[str, Any]) -> None:
    """Play until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(job["threads"])
    record = Record(job)
    threading.Thread(target=record.run, daemon=True).start()
    answers.write("ready\n")
    answers.flush()
    for line in sys.stdin:
        record.mode = _MODES.get(line.strip(), record.mode)
        infer_ms = statistics.median(record.infer_ms) if record.infer_ms else None
        answers.write(f"{json.dumps([record.mode.name, infer_ms])}\n")
        answers.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
