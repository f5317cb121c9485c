"""Junk for one socket of the daemon: `python -m tests.faults.junk KIND PORT`.

KIND is state, actions, control or status.

Sends at least 10 000 messages a second where the machine can, until ended; prints a line when it
begins, and at the end how many it sent. Bytes that are not ZeroMQ's, not msgpack, not schema v1,
and some that nearly are.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgpack
import zmq

from actd.link import messages
from tests.ports import HOST

RATE_HZ = 10_000
_BATCH = 100


def bodies(seed: int = 1) -> Iterator[bytes]:
    """Endless messages that are nobody's."""
    chance = random.Random(seed)
    positions = {f"j{index}": 0.1 for index in range(6)}
    state: dict[str, Any] = {"v": 1, "robot": "", "source": "junk", "clock": "", "seq": 1, "t": 0.0}
    state |= {"t_boot_ns": 0, "state": positions, "ack_boot": "", "ack_seq": 0}
    near = [
        b"",
        b"\x01",
        b"\x00nobody",
        b"\x02" + bytes(100),
        msgpack.packb({**state, "v": 2}),
        msgpack.packb({**state, "state": {**positions, "j0": float("nan")}}),
        msgpack.packb({**state, "state": {**positions, "j0": "up"}}),
        msgpack.packb({**state, "robot": "another"}),
        msgpack.packb({**state, "source": ""}),
        msgpack.packb({**state, "seq": "1", "t": None, "state": [1, 2]}),
        msgpack.packb({"v": 1, "cmd": "fly"}),
        msgpack.packb({"v": 1, "cmd": ["arm"]}),
        msgpack.packb({"v": 1, "cmd": "arm"}),
        msgpack.packb({"v": 1, "cmd": "arm", "robot": "another", "stamp_ns": 1}),
        msgpack.packb(list(range(100))),
        b"\xdf\xff\xff\xff\xff",
        b"\x81" * 2000,
        bytes(messages.MAX_BYTES - 100),
    ]
    for number in itertools.count():
        yield near[number % len(near)] if number % 2 else chance.randbytes(chance.randint(0, 300))


def _send_state(context: zmq.Context[Any], port: int, body: bytes) -> None:
    _socket(context, zmq.PUB, port).send(body, zmq.DONTWAIT)


def _send_actions(context: zmq.Context[Any], port: int, body: bytes) -> None:
    """Subscriptions to nothing, their ends, and messages upstream that are neither."""
    _socket(context, zmq.XSUB, port).send(body, zmq.DONTWAIT)


def _send_requests(context: zmq.Context[Any], port: int, body: bytes) -> None:
    """Requests whose answers nobody reads."""
    parts = [body] if len(body) % 3 else [b"", body, body]
    _socket(context, zmq.DEALER, port).send_multipart(parts, zmq.DONTWAIT)


_SENDERS = {
    "state": _send_state,
    "actions": _send_actions,
    "control": _send_requests,
    "status": _send_requests,
}
_sockets: dict[int, zmq.Socket[bytes]] = {}


def _socket(context: zmq.Context[Any], kind: int, port: int) -> zmq.Socket[bytes]:
    if port not in _sockets:
        _sockets[port] = context.socket(kind)
        _sockets[port].setsockopt(zmq.LINGER, 0)
        _sockets[port].connect(f"tcp://{HOST}:{port}")
        time.sleep(0.2)  # a publisher forgets what it sends before the other end is there
    return _sockets[port]


def main(kind: str, port: str) -> None:
    """Send until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    sent, context = 0, zmq.Context()
    _SENDERS[kind](context, int(port), b"")
    sys.stdout.write("begun\n")
    sys.stdout.flush()
    begun = time.monotonic()
    try:
        for number, body in enumerate(bodies()):
            try:
                _SENDERS[kind](context, int(port), body)
                sent += 1
            except zmq.Again:
                time.sleep(0.001)
            if number % 1000 == 0:
                _speak_no_zmtp(int(port))
            if number % _BATCH == 0:
                due = begun + number / RATE_HZ
                time.sleep(max(0.0, due - time.monotonic()))
    finally:
        sys.stdout.write(f"{sent / (time.monotonic() - begun):.0f}\n")
        sys.stdout.flush()
        context.destroy(linger=0)


def _speak_no_zmtp(port: int) -> None:
    with socket.create_connection((HOST, port), 1) as raw:
        raw.sendall(os.urandom(200))


if __name__ == "__main__":
    main(*sys.argv[1:])
