"""One file of fixed records that outlives whoever writes it.

A segment is preallocated on disk and written through a memory map, so that what was
appended is in the kernel's hands at once and a `kill -9` loses nothing. The header's count
grows only after the record is whole. A segment that was sealed is cut to its records; in
one that was not, every record's checksum decides how far it can be read, so that a power
cut costs the records that never reached the disk and not those before them.

    header  magic (8)  count (u64)  bytes of one record (u64)  zeros to 64
    record  number (i64)  crc32 of number and body (u32)  body

Creating a segment is the only step that needs room on the disk: it raises OSError there,
never a SIGBUS later.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.errors import RecordingError

HEADER_BYTES = 64
_HEADER = struct.Struct("<8sQQ")
_COUNT = struct.Struct("<Q")
_COUNT_AT = 8
_MAGIC = b"ACTDFLT1"
_NUMBER = struct.Struct("<q")
_CRC = struct.Struct("<I")
_PREFIX_BYTES = _NUMBER.size + _CRC.size


def file_dtype(fields: list[Any]) -> np.dtype[Any]:
    """The record of a segment whose body has `fields` (numpy's descr, or that through JSON)."""
    body = [(f[0], f[1], *(tuple(shape) for shape in f[2:])) for f in fields]
    return np.dtype([("number", "<i8"), ("crc", "<u4"), *body])


class Segment:
    """A segment being written. Raises OSError where there is no room for it, leaving no file."""

    def __init__(self, path: Path, record_bytes: int, max_bytes: int) -> None:
        capacity = max(1, (max_bytes - HEADER_BYTES) // record_bytes)
        self._record_bytes = record_bytes
        self._count = 0
        self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        try:
            os.posix_fallocate(self._fd, 0, HEADER_BYTES + capacity * record_bytes)
            self._memory = mmap.mmap(self._fd, 0)
        except OSError:
            os.close(self._fd)
            path.unlink()
            raise
        _HEADER.pack_into(self._memory, 0, _MAGIC, 0, record_bytes)

    @property
    def full(self) -> bool:
        """Whether no further record fits."""
        end = HEADER_BYTES + (self._count + 1) * self._record_bytes
        return end > len(self._memory)

    def append(self, number: int, body: bytes) -> None:
        """Add one record; it is not lost from here on, whatever happens to this process."""
        start = HEADER_BYTES + self._count * self._record_bytes
        head = _NUMBER.pack(number)
        crc = _CRC.pack(zlib.crc32(body, zlib.crc32(head)))
        self._memory[start : start + self._record_bytes] = head + crc + body
        self._count += 1
        _COUNT.pack_into(self._memory, _COUNT_AT, self._count)

    def seal(self) -> None:
        """Write everything to the disk and give back the room that was not used."""
        self._memory.flush()
        self._memory.close()
        os.ftruncate(self._fd, HEADER_BYTES + self._count * self._record_bytes)
        os.close(self._fd)


def mend(path: Path, dtype: np.dtype[Any]) -> int:
    """Seal what a writer left that was killed; returns the number of its last record, or 0.

    A file without a record is removed. Raises OSError and RecordingError.
    """
    records = read_segment(path, dtype)
    if not len(records):
        path.unlink()
        return 0
    with path.open("r+b") as file:
        file.write(_HEADER.pack(_MAGIC, len(records), dtype.itemsize))
        file.truncate(HEADER_BYTES + len(records) * dtype.itemsize)
    return int(records["number"][-1])


def read_segment(path: Path, dtype: np.dtype[Any]) -> NDArray[Any]:
    """The whole records of a segment, oldest first, also while it is being written.

    `dtype` is `file_dtype(...)`. Raises RecordingError for a file that is not such a segment.
    """
    try:
        with path.open("rb") as file:
            count, sealed = _examine(path, file.read(HEADER_BYTES), dtype)
            records = np.fromfile(file, dtype, count)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None
    return records if sealed else records[: _whole(records)]


def _examine(path: Path, header: bytes, dtype: np.dtype[Any]) -> tuple[int, bool]:
    """How many records the file claims to have, and whether it was sealed."""
    if not header.strip(b"\0"):
        return 0, True  # its writer ended between making the file and filling in the header
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        raise RecordingError(f"{path}: not a flight segment: remove it")
    _, count, record_bytes = _HEADER.unpack_from(header)
    if record_bytes != dtype.itemsize:
        raise RecordingError(
            f"{path}: records of {record_bytes} bytes, run.json describes {dtype.itemsize}: "
            "the two do not belong together; remove the segment"
        )
    size = path.stat().st_size
    return count, size == HEADER_BYTES + count * record_bytes


def _whole(records: NDArray[Any]) -> int:
    """How many records from the start have a true checksum."""
    data = records.view(np.uint8).reshape(len(records), records.dtype.itemsize)
    sums = records["crc"]
    for index, row in enumerate(data):
        head = zlib.crc32(row[: _NUMBER.size].data)
        if zlib.crc32(row[_PREFIX_BYTES:].data, head) != sums[index]:
            return index
    return len(records)
