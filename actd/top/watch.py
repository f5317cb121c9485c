"""Listening to one daemon: every action as it passes, and its status twice a second.

Two threads, so that nothing of a slow terminal delays what is heard. It only listens: it
acknowledges nothing, and the daemon does not know that it is there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import zmq

from actd.client import Operator
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.messages import Action
from actd.link.request import as_sent

LOST_NS = 1_000_000_000
"""After that long without an action the link counts as lost."""
SECONDS = 30
_EVENTS = 200
_LOOK_MS = 100
_ASK_S = 0.5
_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `unix_s`, of this computer's clock."""

    unix_s: float
    text: str


@dataclass(frozen=True, slots=True)
class View:
    """What is known at one moment.

    `robot`: its name, "?" where none was given nor heard; `silent_ns`: since the newest action,
    None before the first; `late_us`: the latest tick of each of the last seconds, oldest first;
    `status`: the newest answer, None while there is none, and `commanded` the command at that
    time; `trouble`: why something is missing, "": nothing is. `events`: newest first.
    """

    robot: str
    action: Action | None
    silent_ns: int | None
    late_us: tuple[float, ...]
    status: Mapping[str, Any] | None
    commanded: Mapping[str, float]
    trouble: str
    events: tuple[Event, ...]

    @property
    def lost(self) -> bool:
        """Whether no action comes."""
        return self.silent_ns is None or self.silent_ns > LOST_NS


class Watch:
    """What one daemon says; a context manager. `robot`: whose actions are meant, "": anyone's."""

    def __init__(self, host: str, ports: sockets.Ports, robot: str = "") -> None:
        self._host, self._ports, self._robot = host, ports, robot
        self._over = threading.Event()
        self._action: Action | None = None
        self._heard_ns = 0
        self._late_us: deque[float] = deque(maxlen=SECONDS)
        self._second = 0
        self._status: Mapping[str, Any] | None = None
        self._commanded: Mapping[str, float] = {}
        self._camera_states: dict[str, str] = {}
        self._refused = 0
        self._wire_trouble = self._status_trouble = ""
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._listen, self._ask)
        ]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(2 * _TIMEOUT_S)

    def view(self) -> View:
        """What is known now."""
        action = self._action
        return View(
            robot=(action.robot if action else self._robot) or "?",
            action=action,
            silent_ns=None if action is None else time.monotonic_ns() - self._heard_ns,
            late_us=tuple(self._late_us),
            status=self._status,
            commanded=self._commanded,
            trouble=self._wire_trouble or self._status_trouble,
            events=tuple(reversed(self._events)),
        )

    def order(self, command: str) -> None:
        """Hold or stop; what comes of it is an event. Waits for the answer."""
        try:
            with Operator(
                self._host, self._ports, timeout_s=_TIMEOUT_S, robot=self._robot
            ) as operator:
                answer = operator.request(command)
            self._note(f"{command}: done; {answer.get('robot')} is {answer.get('mode')}")
        except LinkError as error:
            self._note(f"{command}: NOT DONE: {error}")

    def _note(self, text: str) -> None:
        self._events.append(Event(time.time_ns() / 1e9, text))

    def _listen(self) -> None:
        context: zmq.Context[Any] = zmq.Context()
        try:
            address = sockets.endpoint(self._host, self._ports.actions)
            with sockets.every(context, address) as socket:
                while not self._over.is_set():
                    if socket.poll(_LOOK_MS):
                        self._hear(socket.recv())
                    elif self._action and time.monotonic_ns() - self._heard_ns > LOST_NS:
                        self._lose(address)
        except LinkError as error:
            self._wire_trouble = str(error)
        finally:
            context.destroy(linger=0)

    def _lose(self, address: str) -> None:
        if not self._wire_trouble:
            self._wire_trouble = f"{address}: no action for {LOST_NS / 1e9:g} s"
            self._note(self._wire_trouble)

    def _hear(self, data: bytes) -> None:
        try:
            action = messages.parse_action(data)
        except LinkError as error:
            self._wire_trouble = f"actions: {error}"
            return
        if self._robot and action.robot != self._robot:
            self._wire_trouble = (
                f"these are {action.robot or 'nameless'}'s actions, not {self._robot}'s; check "
                "--config and the ports"
            )
            return
        before, self._action, self._heard_ns = self._action, action, time.monotonic_ns()
        if self._wire_trouble and before is not None:
            self._note("actions come again")
        self._wire_trouble = ""
        if before is not None and before.boot != action.boot:
            self._note("the daemon was started again")
        if before is None or before.mode is not action.mode:
            self._note(": ".join(filter(None, (action.mode.name, action.reason))))
        self._count_lateness(action.late_us)

    def _count_lateness(self, late_us: float) -> None:
        second = self._heard_ns // 1_000_000_000
        if second != self._second or not self._late_us:
            self._second = second
            self._late_us.append(late_us)
        else:
            self._late_us[-1] = max(self._late_us[-1], late_us)

    def _ask(self) -> None:
        with Operator(self._host, self._ports, timeout_s=_TIMEOUT_S, robot=self._robot) as operator:
            while not self._over.wait(_ASK_S if self._status or self._status_trouble else 0):
                try:
                    with as_sent():
                        status = operator.status()
                        self._compare(status)
                    self._commanded = self._action.action if self._action else {}
                    self._status, self._status_trouble = status, ""
                except LinkError as error:
                    self._status, self._status_trouble = None, str(error)

    def _compare(self, status: Mapping[str, Any]) -> None:
        """Note what became different since the last answer."""
        for name, camera in status["cameras"].items():
            # What follows the colon counts on while nothing happens.
            state = camera["state"].partition(":")[0]
            if state != self._camera_states.get(name, "ok"):
                self._note(f"camera {name}: {camera['state']}")
            self._camera_states[name] = state
        refused = status["state_rejected"]
        if refused["count"] > self._refused:
            self._note(f"robot state refused: {refused['newest']}")
        self._refused = refused["count"]
