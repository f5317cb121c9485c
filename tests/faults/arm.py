"""The arm: feeds its state, follows what it is told, and writes down every message it got.

A thread in the test, or a process of its own (`python -m tests.faults.arm`) that a test can
kill. Unlike a real controller it does not conflate: the log has every tick that was sent.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq

from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.sockets import LOOPBACK, Ports
from actd.mode import Mode
from tests.faults.engine import JOINTS
from tests.faults.promise import Received

HOST = LOOPBACK[0]
_POLL_MS = 5
_STATE_S = 0.01

Speech = Callable[[Mapping[str, float]], bytes | None]
"""From the pose to the bytes of a state message; None: nothing is sent."""


def speak(pose: Mapping[str, float]) -> bytes:
    """A proper state message."""
    return messages.pack_state(messages.State(seq=1, t=time.time_ns() / 1e9, state=dict(pose)))


class Arm(threading.Thread):
    """Is where it was last told to be. `speech` is what it says of itself."""

    def __init__(self, ports: Ports, heard: Callable[[Received], None] = lambda _: None) -> None:
        super().__init__(daemon=True, name="arm")
        self._ports = ports
        self._heard = heard
        self._over = threading.Event()
        self.speech: Speech = speak
        self.pose = dict.fromkeys(JOINTS, 0.0)
        self.log: list[Received] = []
        self.rejected = 0

    @property
    def mode(self) -> Mode | None:
        """Of the newest message."""
        return self.log[-1].action.mode if self.log else None

    def close(self) -> None:
        """Leave, as a controller does that ends properly."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Until closed."""
        with suppress(OSError):  # without the right to it the arm is merely less punctual
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -10)
        context: zmq.Context[Any] = zmq.Context()
        actions = sockets.subscriber(context, sockets.endpoint(HOST, self._ports.actions))
        states = sockets.sender(context, sockets.endpoint(HOST, self._ports.state))
        said_s = 0.0
        try:
            while not self._over.is_set():
                if time.monotonic() - said_s >= _STATE_S:
                    said_s = time.monotonic()
                    said = self.speech(self.pose)
                    if said is not None:
                        states.send(said, zmq.DONTWAIT)
                if actions.poll(_POLL_MS):
                    self._take(actions.recv(zmq.DONTWAIT))
        finally:
            context.destroy(linger=0)

    def _take(self, data: bytes) -> None:
        try:
            received = Received(time.monotonic_ns(), messages.parse_action(data))
        except LinkError:
            self.rejected += 1
            return
        self.log.append(received)
        self._heard(received)
        if received.action.moves:
            self.pose.update(received.action.action)


def read_log(file: Path) -> list[Received]:
    """What an arm in a process of its own wrote down; a line cut short by a kill is left out."""
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [
        Received(int(arrival), messages.parse_action(bytes.fromhex(data)))
        for arrival, data in (line.split() for line in lines if line.endswith("\n"))
    ]


def main(state_port: str, actions_port: str, file: str) -> None:
    """An arm in this process, until killed."""
    with Path(file).open("w", buffering=1) as out:

        def write(received: Received) -> None:
            out.write(f"{received.arrival_ns} {messages.pack_action(received.action).hex()}\n")

        arm = Arm(Ports(state=int(state_port), actions=int(actions_port)), write)
        arm.start()
        arm.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
