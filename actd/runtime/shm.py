"""Latest-value mailboxes in shared memory: one writer, any number of readers, no locks.

A ring is anonymous memory (memfd) whose descriptor children inherit, so nothing is left
behind however the processes end. Every record carries its number before and after the
write and, where it is small, a CRC: a torn or overwritten record is never returned, the
reader keeps what it had and its age grows. The writer never waits.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = np.void
"""One structured numpy scalar; fields by name."""

_HEADER_BYTES = 64  # a cache line of its own for the counter
_CRC_AT, _BODY_AT = 8, 16
_CODES = {"i8": "q", "u4": "I", "i4": "i", "u2": "H", "u1": "B", "f4": "f", "f8": "d"}
_CRC, _INT64 = struct.Struct("<I"), struct.Struct("<q")


class Ring:
    """The last `slots` records of one dtype. Numbers start at 1; `fd` is what a child needs."""

    def __init__(self, dtype: np.dtype[Any], slots: int, *, crc: bool = True, fd: int = -1) -> None:
        # The body begins at a multiple of 8 bytes.
        head = [("lock", "<u8"), ("crc", "<u4"), ("spare", "<u4")]
        self._dtype = np.dtype([*head, ("body", dtype)], align=True)
        self._slots = slots
        self._crc = crc
        size = _HEADER_BYTES + self._dtype.itemsize * slots
        self.fd = fd
        if fd < 0:
            self.fd = os.memfd_create("actd", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
            os.ftruncate(self.fd, size)
            # Cut short by one process, it would be a SIGBUS in every other.
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        memory = mmap.mmap(self.fd, size)
        records = np.frombuffer(memory, self._dtype, slots, _HEADER_BYTES)
        self._lock: NDArray[np.uint64] = records["lock"]
        self._body: NDArray[Any] = records["body"]
        # The same memory again: numpy takes far longer over a single number.
        self._bytes = memoryview(memory)
        self._words = self._bytes.cast("Q")
        self._offsets = {name: field[1] for name, field in (dtype.fields or {}).items()}
        self._flat = struct.Struct(_flat_format(dtype))

    @property
    def newest(self) -> int:
        """Number of the newest record, 0 before the first."""
        return self._words[0]

    def write(self, record: tuple[Any, ...]) -> int:
        """Publish `record` (values in the dtype's order) and return its number."""
        number, at = self._begin()
        self._body[number % self._slots] = record
        return self._publish(number, at)

    def write_flat(self, *values: float | bytes) -> int:
        """As `write`, with arrays spelled out number by number: several times cheaper.

        Raises struct.error or OverflowError, and publishes nothing, for a value that does not fit.
        """
        number, at = self._begin()
        self._flat.pack_into(self._bytes, at + _BODY_AT, *values)
        return self._publish(number, at)

    def _begin(self) -> tuple[int, int]:
        """The next record's number and where it lies; from here on nobody reads that slot."""
        number = self._words[0] + 1
        at = self._at(number)
        self._words[at // 8] = 2 * number - 1
        return number, at

    def _publish(self, number: int, at: int) -> int:
        if self._crc:
            _CRC.pack_into(self._bytes, at + _CRC_AT, zlib.crc32(self._body_bytes(at)))
        self._words[at // 8] = 2 * number
        self._words[0] = number
        return number

    def _at(self, number: int) -> int:
        return _HEADER_BYTES + number % self._slots * self._dtype.itemsize

    def _body_bytes(self, at: int) -> memoryview:
        return self._bytes[at + _BODY_AT : at + _BODY_AT + self._flat.size]

    def read(self, number: int) -> Record | None:
        """A copy of record `number`, or None if it is overwritten, torn or not yet there."""
        at = self._at(number)
        if number < 1 or self._words[at // 8] != 2 * number:
            return None
        slot = number % self._slots
        copy = self._body[slot : slot + 1].copy()
        (crc,) = _CRC.unpack_from(self._bytes, at + _CRC_AT)
        if self._words[at // 8] != 2 * number:
            return None
        if self._crc and zlib.crc32(copy.view(np.uint8).data) != crc:
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

    def history(self, field: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Numbers and one integer field of all readable records, oldest first, each (n,)."""
        newest = self.newest
        numbers = np.arange(max(1, newest - self._slots + 2), newest + 1)
        slots = numbers % self._slots
        values: NDArray[np.int64] = self._body[field][slots].astype(np.int64)
        whole = self._lock[slots] == 2 * numbers.astype(np.uint64)
        return numbers[whole], values[whole]

    def peek(self, field: str) -> int | None:
        """One int64 field of the newest record without copying the rest, or None."""
        number = self._words[0]
        at = self._at(number)
        if not number or self._words[at // 8] != 2 * number:
            return None
        value: int = _INT64.unpack_from(self._bytes, at + _BODY_AT + self._offsets[field])[0]
        return value if self._words[at // 8] == 2 * number else None


def _flat_format(dtype: np.dtype[Any]) -> str:
    """The struct format of one record without padding, its arrays spelled out."""
    codes = []
    for field, *_ in (dtype.fields or {}).values():
        base, shape = field.subdtype or (field, ())
        count = math.prod(shape)
        code = f"{base.itemsize}s" * count if base.kind == "S" else f"{count}{_CODES[base.str[1:]]}"
        codes.append(code if count else "")
    return "<" + "".join(codes)
