"""The controller's side of the link: state out, the newest valid action in.

Reads actions from port 9872 and publishes state to 9871. When nothing valid is there it
returns None, and the controller must hold: that is how a dead daemon, a cut cable or a
stalled network all look.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import zmq

from actd.client.freshness import Freshness
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.messages import Action


class Robot:
    """A robot controller's two streams. Not thread-safe; use as a context manager.

    host: where the daemon runs. ports: `actd.link.sockets.Ports`, default 9871 and 9872.
    """

    def __init__(self, host: str = "127.0.0.1", ports: sockets.Ports | None = None) -> None:
        ports = ports or sockets.Ports()
        self._context: zmq.Context[Any] = zmq.Context()
        self._actions = sockets.newest(self._context, sockets.endpoint(host, ports.actions))
        self._states = sockets.sender(self._context, sockets.endpoint(host, ports.state))
        self._freshness = Freshness()
        self._state_seq = 0
        self.rejected = 0
        """Messages received that were not schema v1, and ignored."""

    def send_state(self, state: Mapping[str, float], env: Sequence[float] = ()) -> None:
        """Publish the measured pose: joint name -> value in the policy's units. Never blocks."""
        self._state_seq += 1
        message = messages.State(
            seq=self._state_seq,
            t=time.time_ns() / 1e9,
            state={name: float(value) for name, value in state.items()},
            env=tuple(float(value) for value in env),
        )
        self._states.send(messages.pack_state(message), zmq.DONTWAIT)

    def receive(self, timeout_s: float = 0.0) -> Action | None:
        """Wait up to `timeout_s` for the next message, then return the newest valid action.

        None means there is none within its ttl: hold.
        """
        if self._actions.poll(round(timeout_s * 1000)):
            try:
                action = messages.parse_action(self._actions.recv(zmq.DONTWAIT))
                self._freshness.accept(action, time.monotonic_ns())
            except LinkError:
                self.rejected += 1
        return self.current()

    def current(self) -> Action | None:
        """The newest action while its ttl lasts, without waiting. None: hold."""
        return self._freshness.current(time.monotonic_ns())

    def close(self) -> None:
        """Close both sockets. Safe to call twice."""
        self._context.destroy(linger=0)

    def __enter__(self) -> Robot:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
