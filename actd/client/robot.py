"""The controller's side of the link: state out, the newest valid action in.

Reads actions from port 9872 and publishes state to 9871. When nothing valid is there it
returns None, and the controller must hold: that is how a dead daemon, a cut cable or a
stalled network all look.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import zmq

from actd.client.expiry import Expiry
from actd.client.realtime import schedule_io
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.age import boottime_ns, clock_id
from actd.link.messages import Action


class Robot:
    """A robot controller's two streams. Not thread-safe; use as a context manager.

    name: the robot's in actd.yaml; actions of another one are rejected ("": any will do).
    host: where the daemon runs. ports: `actd.link.sockets.Ports`, default 9871 and 9872.
    gentle_stop: after silence, return the steps to rest before None.
    realtime_priority: what the loop gave to `realtime`, for the thread that serves its sockets.
    """

    def __init__(
        self,
        name: str = "",
        host: str = "127.0.0.1",
        ports: sockets.Ports | None = None,
        *,
        gentle_stop: bool = True,
        realtime_priority: int | None = None,
    ) -> None:
        ports = ports or sockets.Ports()
        self._context: zmq.Context[Any] = zmq.Context()
        if realtime_priority is not None:
            schedule_io(self._context, realtime_priority)
        self._actions = sockets.newest(self._context, sockets.endpoint(host, ports.actions))
        self._states = sockets.sender(self._context, sockets.endpoint(host, ports.state))
        self._name = name
        self._clock = clock_id()
        self._expiry = Expiry(self._clock, name, gentle_stop=gentle_stop)
        self._source = secrets.token_hex(8)
        self._state_seq = 0
        self._acted_upon = ("", 0)
        self.rejected = 0
        """Messages received that could not be used."""
        self.last_rejection = ""
        """What was wrong with the newest of them, in one line."""

    def send_state(
        self,
        state: Mapping[str, float],
        env: Sequence[float] = (),
        *,
        measured_ns: int | None = None,
        acting: bool = True,
        leader: tuple[Mapping[str, float], int] | None = None,
    ) -> None:
        """Publish the measured pose: joint name -> value in the policy's units. Never blocks.

        measured_ns: when it was measured, on CLOCK_BOOTTIME; None: now. acting: whether the arm
        is made to follow what `receive` and `current` return; without it nobody can arm. leader:
        where an operator's leader arm is, joint name -> value in the robot's joints and units, and
        when it was measured, on CLOCK_BOOTTIME.
        """
        self._state_seq += 1
        boot, seq = self._acted_upon if acting else ("", 0)
        message = messages.State(
            robot=self._name,
            source=self._source,
            clock=self._clock,
            seq=self._state_seq,
            t=time.time_ns() / 1e9,
            t_boot_ns=boottime_ns() if measured_ns is None else measured_ns,
            state={name: float(value) for name, value in state.items()},
            env=tuple(float(value) for value in env),
            ack_boot=boot,
            ack_seq=seq,
        )
        if leader is not None:
            places, leader_ns = leader
            places = {name: float(value) for name, value in places.items()}
            message = replace(message, leader=places, leader_boot_ns=leader_ns)
        self._states.send(messages.pack_state(message), zmq.DONTWAIT)

    def receive(self, timeout_s: float = 0.0) -> Action | None:
        """Wait up to `timeout_s` for the next message, then return the newest valid action.

        None means there is none that holds: hold. `expired` in an action means that none holds
        either, and that these are the steps of a gentle stop. The wait should be shorter than
        the ttl: after a longer one the arm stands, and there is nothing left to stop.
        """
        if self._actions.poll(round(timeout_s * 1000)):
            try:
                action = messages.parse_action(self._actions.recv(zmq.DONTWAIT))
                self._expiry.accept(action, boottime_ns())
            except LinkError as error:
                self.rejected += 1
                self.last_rejection = str(error)
        return self.current()

    def current(self) -> Action | None:
        """What `receive` returns, without looking for a message. To be asked every cycle."""
        action = self._expiry.current(boottime_ns())
        if action is not None:
            self._acted_upon = (action.boot, action.seq)
        return action

    def close(self) -> None:
        """Close both sockets. Safe to call twice."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Robot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
