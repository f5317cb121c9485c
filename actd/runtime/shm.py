"""Latest-value mailboxes in shared memory: one writer, any number of readers, no locks.

A ring is anonymous memory (memfd) whose descriptor children inherit, so nothing is left
behind however the processes end. Every record carries its number before and after the
write and, where it is small, a CRC: a torn or overwritten record is never returned, the
reader keeps what it had and its age grows. The writer never waits.
"""

from __future__ import annotations

import mmap
import os
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = np.void
"""One structured numpy scalar; fields by name."""

_HEADER_BYTES = 64  # a cache line of its own for the counter


class Ring:
    """The last `slots` records of one dtype. Numbers start at 1; `fd` is what a child needs."""

    def __init__(self, dtype: np.dtype[Any], slots: int, *, crc: bool = True, fd: int = -1) -> None:
        self._dtype = np.dtype([("lock", "<u8"), ("crc", "<u4"), ("body", dtype)], align=True)
        self._slots = slots
        self._crc = crc
        size = _HEADER_BYTES + self._dtype.itemsize * slots
        self.fd = fd
        if fd < 0:
            self.fd = os.memfd_create("actd", os.MFD_CLOEXEC)
            os.ftruncate(self.fd, size)
        memory = mmap.mmap(self.fd, size)
        self._count: NDArray[np.uint64] = np.frombuffer(memory, "<u8", 1)
        records = np.frombuffer(memory, self._dtype, slots, _HEADER_BYTES)
        self._lock: NDArray[np.uint64] = records["lock"]
        self._sums: NDArray[np.uint32] = records["crc"]
        self._body: NDArray[Any] = records["body"]

    @property
    def newest(self) -> int:
        """Number of the newest record, 0 before the first."""
        return int(self._count[0])

    def write(self, record: tuple[Any, ...]) -> int:
        """Publish `record` (values in the dtype's order) and return its number."""
        number = self.newest + 1
        slot = number % self._slots
        self._lock[slot] = 2 * number - 1
        self._body[slot] = record
        if self._crc:
            self._sums[slot] = zlib.crc32(self._body[slot : slot + 1].view(np.uint8).data)
        self._lock[slot] = 2 * number
        self._count[0] = number
        return number

    def read(self, number: int) -> Record | None:
        """A copy of record `number`, or None if it is overwritten, torn or not yet there."""
        slot = number % self._slots
        if number < 1 or self._lock[slot] != 2 * number:
            return None
        copy = self._body[slot : slot + 1].copy()
        if self._lock[slot] != 2 * number:
            return None
        if self._crc and zlib.crc32(copy.view(np.uint8).data) != self._sums[slot]:
            return None
        record: Record = copy[0]
        return record

    def latest(self, after: int = 0) -> tuple[int, Record] | None:
        """The newest readable record with its number, if it is newer than `after`."""
        number = self.newest
        if number <= after:
            return None
        record = self.read(number)
        return None if record is None else (number, record)

    def since(self, after: int) -> Iterator[tuple[int, Record]]:
        """The records newer than `after` that are still readable, oldest first."""
        newest = self.newest
        for number in range(max(after + 1, newest - self._slots + 2), newest + 1):
            record = self.read(number)
            if record is not None:
                yield number, record

    def peek(self, field: str) -> int | None:
        """One integer field of the newest record without copying the rest, or None."""
        number = self.newest
        slot = number % self._slots
        if not number or self._lock[slot] != 2 * number:
            return None
        value = int(self._body[field][slot])
        return value if self._lock[slot] == 2 * number else None
