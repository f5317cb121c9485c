"""A daemon that answers every request, now and then with something else than it should."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from actd.link import messages, sockets
from actd.runtime.histogram import Histogram
from tests.damage.values import spoiled

_PERCENTILES = {"p50": 1.0, "p99": 2.0, "p999": 3.0, "max": 4.0}
_GRANTED = {"policy": "SCHED_FIFO 60", "cores": "1"}
STATUS = {
    "ok": True,
    "robot": "cup",
    "boot": "b00t",
    "stamp_ns": 1,
    "mode": "HOLD",
    "reason": "parked",
    "move": {"share": 1.0, "left_s": 0.0},
    "positions": {"waist": 0.5, "elbow": 0.25},
    "warnings": ["joint elbow is far off"],
    "order": 1,
    "pictures": {"state": "keeping", "saved": 1, "newest": "moment.zip", "orders": 1},
    "unlike_training": ["camera top: its images are darker"],
    "joints": ["waist", "elbow", "gripper"],
    "state": ["waist", "elbow", "gripper"],
    "units": "rad",
    "kinds": {"waist": "position", "elbow": "velocity", "gripper": "gripper"},
    "rate_hz": 50.0,
    "ready": True,
    "uptime_s": 5.0,
    "control": {
        "rate_hz": 50.0,
        "target_hz": 50.0,
        "ticks": 250,
        "missed": 0,
        "underruns": 0,
        "flags": {"velocity": 3},
        "lateness_us": _PERCENTILES,
        "chunk_age_ms": _PERCENTILES,
    },
    "inference": {
        "engine": "ort-int8",
        "runtime": "ort-int8: verified with onnxruntime 1.20.1, running on 1.23.1",
        "seams": "temporal with 2.0 chunks at a time",
        "state": "running",
        "chunks": 9,
        "rate_hz": 10.0,
        "ms": _PERCENTILES,
    },
    "cameras": {
        "top": {
            "state": "ok",
            "fps": 30.0,
            "fps_asked": 30,
            "drops": 0,
            "age_ms": 20.0,
            "restarts": 0,
        }
    },
    "state_age_ms": 4.0,
    "acknowledged_ms": None,
    "state_rejected": {"count": 1, "newest": "lacks waist"},
    "flight": "running",
    "processes": {"tick": _GRANTED, "supervisor": _GRANTED},
    "episodes": {
        "open": {"episode": 3, "place": "7", "halted": "FAULT", "seconds": 2.5},
        "last": {"episode": 2, "place": "", "score": "success", "seconds": 4.0},
        "success": 1,
        "failure": 1,
        "discard": 0,
        "rate": 0.5,
        "interval": [0.1, 0.9],
    },
    "recording": {
        "state": "saved",
        "frames": 9,
        "fps": 30,
        "repeated": 0,
        "late": 0,
        "path": "/d",
        "episode": 0,
        "notes": ["a note"],
    },
    "since_clear": {"lateness": Histogram().encode()},
}


class Daemon:
    """`chance` decides what the next answers are like; None is an honest daemon."""

    chance: random.Random | None = None

    def answer(self) -> bytes:
        """The next answer, to whatever was asked."""
        chance = self.chance
        if chance is None:
            return messages.pack_map(STATUS)
        if chance.random() < 0.1:
            return chance.randbytes(40)
        try:
            return messages.pack_map(spoiled(STATUS, chance))
        except (ValueError, OverflowError, TypeError):
            return b"\x80"


@contextmanager
def answering(host: str) -> Iterator[Daemon]:
    """Listen on the usual ports of `host`."""
    daemon, ports, ended = Daemon(), sockets.Ports(), threading.Event()
    context: zmq.Context[Any] = zmq.Context()
    servers = [
        sockets.request_server(context, sockets.endpoint(host, port))
        for port in (ports.status, ports.control)
    ]
    publisher = sockets.publisher(context, sockets.endpoint(host, ports.actions))

    def serve() -> None:
        while not ended.is_set():
            for server in servers:
                while server.poll(0):
                    *route, _ = server.recv_multipart()
                    server.send_multipart([*route, daemon.answer()])
            publisher.send(daemon.answer())
            time.sleep(0.002)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield daemon
    finally:
        ended.set()
        thread.join()
        context.destroy(linger=0)
