"""What a loop of the tick bench says and hears, and the records that all of them write.

Every loop does per tick what actd's does on the wire: take in the robot's states, pack one
action with as many joints and bytes, and send it. No loop but actd's decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from actd.errors import LinkError
from actd.link import messages, sockets
from actd.link.age import boottime_ns, clock_id
from actd.mode import Mode
from actd.runtime.clock import now_ns, unix_s
from actd.runtime.shm import Ring

ROBOT = "bench"
TTL_MS = 100.0
SLOTS = 1 << 16

TICK = np.dtype(
    [
        ("seq", "<i8"),
        ("wake_ns", "<i8"),
        ("late_ns", "<i8"),
        ("sent_ns", "<i8"),
        ("missed", "<i8"),
    ]
)
"""`late_ns`: the wake-up minus the slot that was waited for; `sent_ns`: the action was handed to
the socket; `missed`: slots lost since the start."""
ARRIVAL = np.dtype([("seq", "<i8"), ("arrival_ns", "<i8")])
"""The arm's program has this action in its hands."""
CHUNK = np.dtype([("started_ns", "<i8"), ("infer_ns", "<i8")])
"""One inference."""

_MESSAGES_MAX = 16
_IDENTITY = "0123456789abcdef"


def ring(job: Mapping[str, Any], name: str, dtype: np.dtype[Any]) -> Ring:
    """The ring that the bench has made for these records."""
    return Ring(dtype, SLOTS, fd=job["fds"][name])


def pack(
    seq: int,
    mode: Mode,
    values: Mapping[str, float],
    *,
    ttl_ms: float = TTL_MS,
    late_us: float = 0.0,
) -> bytes:
    """One actions message, of as many bytes as actd's: it says of itself that it is at rest."""
    return messages.pack_action(
        messages.Action(
            robot=ROBOT,
            boot=_IDENTITY,
            clock=clock_id(),
            seq=seq,
            t=unix_s(),
            t_boot_ns=boottime_ns(),
            ttl_ms=ttl_ms,
            mode=mode,
            action=dict(values),
            rest=dict(values),
            rest_ms=0.0,
            chunk=seq,
            age_ms=0.0,
            n=1,
            infer_ms=0.0,
            late_us=late_us,
            flags=0,
        )
    )


class Wire:
    """Both sockets of one loop, and the record of its ticks."""

    def __init__(self, job: Mapping[str, Any], context: zmq.Context[Any]) -> None:
        ports = sockets.Ports(*job["ports"])
        self._states = sockets.state_receiver(context, sockets.endpoint("127.0.0.1", ports.state))
        self._actions = sockets.publisher(context, sockets.endpoint("127.0.0.1", ports.actions))
        self._ticks = ring(job, "ticks", TICK)
        self._seq = 0
        self._joints: list[str] = job["joints"]
        self.positions = dict.fromkeys(self._joints, 0.0)

    def read_states(self) -> None:
        """Take in every state that has come."""
        for _ in range(_MESSAGES_MAX):
            try:
                data = self._states.recv(zmq.DONTWAIT)
            except zmq.Again:
                return
            with suppress(LinkError):
                self.positions = messages.parse_state(data).state

    def send(self, row: NDArray[np.float32], wake_ns: int, late_ns: int, missed: int) -> None:
        """Send one action and write the tick down."""
        self._seq += 1
        values = dict(zip(self._joints, row.tolist(), strict=True))
        packed = pack(self._seq, Mode.ARMED, values, late_us=late_ns / 1e3)
        self._actions.send(packed, zmq.DONTWAIT)
        self._ticks.write_flat(self._seq, wake_ns, late_ns, now_ns(), missed)
