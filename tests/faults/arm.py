"""The arm: a body that a controller moves as a user's would, and a listener that keeps a log.

The controller is the shipped client: what it does with old commands is what a user's arm does.
Beside it a second subscriber hears every message, as `actd echo` would, and the arm's own
position is written down 200 times a second. A cable lies between the client and the daemon, so
that the state can be told late, wrongly or not at all.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import zmq

from actd.arrays import Vector
from actd.client import Robot
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.age import boottime_ns
from actd.link.messages import State
from actd.link.sockets import Ports
from actd.mode import Mode
from tests.faults.body import Body
from tests.faults.engine import COMPARED, JOINTS
from tests.faults.leader import Hand, Led
from tests.faults.life import Received, Sample
from tests.ports import HOST

ROBOT = "test-arm"
_CYCLE_S = 0.005
_LATE_S = 0.04
_PRIORITY = 40
_QUEUE = 10_000

Speech = Callable[[State], State | bytes | None]
"""From a proper state message to what the daemon gets instead; None: nothing."""


class _Cable:
    """In the place of the client's socket for its state."""

    def __init__(self, socket: zmq.Socket[bytes], speech: Callable[[], Speech | None]) -> None:
        self._socket = socket
        self._speech = speech

    def send(self, data: bytes, flags: int) -> None:
        speech = self._speech()
        said = data if speech is None else speech(messages.parse_state(data))
        if isinstance(said, State):
            said = messages.pack_state(said)
        if said is not None:
            self._socket.send(said, flags)


class Arm(threading.Thread):
    """Runs until closed. `log` and `samples` only ever grow, for others to read.

    `speech`: how the cable falsifies what the daemon is told, None: not; `leads`: the same of the
    leader alone. `hand`: whose hand is on a leader, None: there is none. `hangs`: the controller
    does nothing, though its sockets are open. `ahead_ns`: how far the daemon's clock will
    be ahead of this computer's, on which the log is kept.
    """

    def __init__(self, ports: Ports) -> None:
        super().__init__(daemon=True, name="arm")
        self._ports = ports
        self._over = threading.Event()
        self._deeds: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._robot: Robot | None = None
        self._returns = 0
        self._source = 0
        self.body = Body(np.zeros(len(JOINTS)))
        self.speech: Speech | None = None
        self.leads: Speech | None = None
        self.hand: Hand | None = None
        self.hangs = False
        self.ahead_ns = 0
        self.log: list[Received] = []
        self.samples: list[Sample] = []
        self.led: list[Led] = []
        self.rejected = 0
        """Messages that were not schema v1."""

    @property
    def mode(self) -> Mode | None:
        """Of the newest message."""
        return self.log[-1].action.mode if self.log else None

    @property
    def position(self) -> Vector:
        """Where it is, (joints,)."""
        return np.array(self.samples[-1].position) if self.samples else np.zeros(len(JOINTS))

    # --- what others do to it

    def do(self, deed: Callable[[Body], None]) -> None:
        """Do something to its body, between two cycles: its own world lets go, or takes hold."""

        def work() -> None:
            deed(self.body)
            self._returns += 1

        self._between_cycles(work)

    def leave(self) -> None:
        """Its controller ends; servos hold what they were told last."""
        self._between_cycles(self._leave)

    def begin(self) -> None:
        """Its controller begins, as a program that was just started."""
        self._between_cycles(self._begin)

    def close(self) -> None:
        """Turn it off."""
        self._over.set()
        if self.is_alive():
            self.join()

    def _between_cycles(self, work: Callable[[], None]) -> None:
        done = threading.Event()

        def deed() -> None:
            work()
            done.set()

        self._deeds.put(deed)
        if not done.wait(10):
            raise AssertionError("the arm's thread does not run")

    def _leave(self) -> None:
        robot, self._robot = self._robot, None
        if robot is not None:
            robot.close()

    def _begin(self) -> None:
        self._leave()
        self.body.stay()
        self._source += 1
        self._returns += 1
        robot = Robot(ROBOT, ports=self._ports, realtime_priority=_PRIORITY)
        robot._states = _Cable(robot._states, lambda: self.speech or self.leads)  # type: ignore[assignment]
        self._robot = robot

    # --- its life

    def run(self) -> None:
        """Until closed."""
        with suppress(OSError):  # without the right to it the arm is merely less punctual
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
        context: zmq.Context[Any] = zmq.Context()
        listener = context.socket(zmq.SUB)
        listener.setsockopt(zmq.RCVHWM, _QUEUE)
        listener.setsockopt(zmq.SUBSCRIBE, b"")
        listener.connect(sockets.endpoint(HOST, self._ports.actions))
        try:
            self._begin()
            self._live(listener)
        finally:
            self._leave()
            context.destroy(linger=0)

    def _live(self, listener: zmq.Socket[bytes]) -> None:
        last_s, cycle = time.monotonic(), 0
        while not self._over.is_set():
            time.sleep(_CYCLE_S)
            while not self._deeds.empty():
                self._deeds.get()()
            now_s, now_ns = time.monotonic(), boottime_ns()
            elapsed_s, last_s = now_s - last_s, now_s
            # A body knows no threads: what it does while this one waits is what it was told.
            speeds = self.body.step(elapsed_s)
            seq, expired = self._control(cycle)
            self._returns += elapsed_s > _LATE_S
            cycle += 1
            self.samples.append(
                Sample(
                    now_ns,
                    tuple(self.body.position.tolist()),
                    float(speeds[:COMPARED].max()),
                    self.body.driven,
                    self._returns,
                    self._source,
                    self._robot is not None and not self.hangs and self.speech is None,
                    seq,
                    expired,
                )
            )
            self._listen(listener)

    def _control(self, cycle: int) -> tuple[int, bool]:
        """One cycle of a user's loop; the number of the message that is obeyed, and whether its
        time is over.
        """
        robot = self._robot
        if robot is None or self.hangs:
            return 0, False
        if cycle % 2 == 0:
            hand = self.hand
            leader = None
            if hand is not None:
                self.led.append(hand.place())
                t_ns, place = self.led[-1]
                leader = (dict(zip(JOINTS, place, strict=True)), t_ns)
            state = dict(zip(JOINTS, self.body.position.tolist(), strict=True))
            robot.send_state(state, leader=leader)
        action = robot.receive(0.0)
        if action is None or not action.moves:
            return 0, False
        self.body.follow(np.array([action.action[joint] for joint in JOINTS]))
        return action.seq, action.expired

    def _listen(self, listener: zmq.Socket[bytes]) -> None:
        while listener.poll(0):
            data = listener.recv(zmq.DONTWAIT)
            try:
                action, now_ns = messages.parse_action(data), boottime_ns()
                if action.t_boot_ns - now_ns > self.ahead_ns / 2:
                    action = replace(action, t_boot_ns=action.t_boot_ns - self.ahead_ns)
                self.log.append(Received(now_ns, action))
            except LinkError:
                self.rejected += 1
