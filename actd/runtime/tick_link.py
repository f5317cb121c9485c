"""The tick process's sockets: the newest robot state in, actions out.

In: state messages (SUB), and who subscribes to the actions. Out: actions (XPUB), the state for
inference. A message that is not schema v1 is ignored: the state's age grows, and that is what
is acted upon. Nothing here ever waits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import zmq

from actd.control.guard import Vector
from actd.errors import LinkError
from actd.link import messages, sockets
from actd.runtime.blocks import Blocks
from actd.runtime.settings import TickSettings

# However much a peer sends where only subscriptions belong, the tick has other things to do.
_NOTICES_MAX = 16
_LISTENING = {b"\x01": 1, b"\x00": 0}  # ZeroMQ's way of saying that a subscriber is there


class Link:
    """The tick's two sockets: the newest robot state in, actions out."""

    def __init__(self, context: zmq.Context[Any], settings: TickSettings, blocks: Blocks) -> None:
        ports = settings.ports
        self._states = sockets.newest(
            context, sockets.endpoint(settings.host, ports.state), bind=True
        )
        self._actions = sockets.publisher(context, sockets.endpoint(settings.host, ports.actions))
        self._ring = blocks.states
        self._joints = settings.joints
        self._state_names = settings.state_names
        self._env_dim = settings.env_dim
        self.listeners = 0
        self._listened_ns: int | None = None
        self.pose: Vector | None = None
        self.state_ns: int | None = None

    def read(self, now: int) -> None:
        """Take in the newest state, if there is one, and who listens. Bad messages are ignored."""
        try:
            message = messages.parse_state(self._states.recv(zmq.DONTWAIT))
            pose = np.array([message.state[name] for name in self._joints])
            state = [message.state[name] for name in self._state_names]
            if len(message.env) == self._env_dim:
                self._ring.write_flat(now, *state, *message.env)
                self.pose, self.state_ns = pose, now
        except (zmq.Again, LinkError, KeyError, OverflowError):
            pass
        for _ in range(_NOTICES_MAX):
            if not int(self._actions.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
                break
            # 1 for as long as anyone listens; anything else that peers send means nothing.
            said = self._actions.recv(zmq.DONTWAIT)
            self.listeners = _LISTENING.get(said, self.listeners)
        if self.listeners:
            self._listened_ns = now

    def controller_age_ns(self, now: int) -> int | None:
        """0 while a controller listens, else the time since the last one left; None: never."""
        return None if self._listened_ns is None else now - self._listened_ns

    def send(self, message: bytes) -> None:
        """Publish one command; never waits."""
        self._actions.send(message, zmq.DONTWAIT)
