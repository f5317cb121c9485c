"""Another hand in the shared memory of chunks: torn, half-written, whole but improper records.

The ring is the running daemon's own, reached through a file descriptor of one of its
processes; so what is written is what the tick process reads.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from actd.runtime.channels import Channels, Shapes, open_channels
from actd.runtime.shm import Ring
from tests.background import repeated
from tests.faults.engine import CHUNK, JOINTS
from tests.faults.injections import Injection
from tests.faults.rig import Rig

Stroke = Callable[[Ring, random.Random], None]
"""One thing written into the ring."""

_USABLE_NS = 500_000_000


def scribble(stroke: Stroke) -> Injection:
    """Have another process's hand in the chunk ring, a thousand times a second."""

    @contextmanager
    def inject(rig: Rig) -> Iterator[None]:
        chance, ring = random.Random(1), _plan_ring(rig)
        strokes: list[int] = []

        def work() -> None:
            stroke(ring, chance)
            strokes.append(1)

        try:
            with repeated(work, 0.001):
                yield
        finally:
            os.close(ring.fd)
        rig.notes.append(f"{len(strokes)} records spoilt")
        if not strokes:
            raise AssertionError("the scribbling itself failed")

    return inject


def garbage(ring: Ring, chance: random.Random) -> None:
    """Random bytes over part of a record; its checksum and numbers stay."""
    body = ring._body[chance.randrange(ring._slots) :][:1].view(np.uint8)
    begin = chance.randrange(body.size - 64)
    body[begin : begin + 64] = np.frombuffer(chance.randbytes(64), np.uint8)


def half_written(ring: Ring, chance: random.Random) -> None:
    """A writer that died in the middle: the number before is there, the number after is not."""
    number, at = ring._begin()
    ring._bytes[at + 16 : at + 16 + 500] = chance.randbytes(500)
    ring._words[0] = number


def wild(value: float) -> Stroke:
    """Proper records of improper actions."""

    def stroke(ring: Ring, chance: random.Random) -> None:
        actions = np.full((CHUNK, len(JOINTS)), value * chance.choice((-1, 1)), np.float32)
        now_ns = time.monotonic_ns()
        ring.write((now_ns, now_ns, 1_000_000, 0, _USABLE_NS, actions))

    return stroke


def from_the_future(ring: Ring, chance: random.Random) -> None:
    """Proper records of what will be observed in an hour."""
    actions = np.full((CHUNK, len(JOINTS)), chance.uniform(-1, 1), np.float32)
    then_ns = time.monotonic_ns() + 3600 * 10**9
    ring.write((then_ns, then_ns, 1_000_000, 0, _USABLE_NS, actions))


def _plan_ring(rig: Rig) -> Ring:
    """The daemon's own chunk ring, through a file of the inference process."""
    shapes = Shapes(cameras={}, chunk_size=CHUNK, action_dim=len(JOINTS), state_dim=0, env_dim=0)
    like = _keep_plans(open_channels(shapes)).fd
    size = os.fstat(like).st_size
    os.close(like)
    for link in Path(f"/proc/{rig.process('inference').pid}/fd").iterdir():
        with suppress(OSError):
            if "memfd:actd" in str(link.readlink()) and link.stat().st_size == size:
                return _keep_plans(open_channels(shapes, {"chunk": os.open(link, os.O_RDWR)}))
    raise AssertionError("the chunk ring was not found among the files of the inference process")


def _keep_plans(channels: Channels) -> Ring:
    """Give back the descriptors of all rings but that of the chunks."""
    for fd in set(channels.fds.values()) - {channels.chunks.fd}:
        os.close(fd)
    return channels.chunks
