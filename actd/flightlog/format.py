"""A file of fixed-size records that survives the death of its writer.

A segment is preallocated on disk and written through a memory map, so that an appended
record is in the kernel's hands at once and a `kill -9` loses nothing. The header's count
grows only after the record is complete. A sealed segment is cut to its records; in one that
is not, the checksums decide how far it can be read, so that a power cut costs the records
that never reached the disk and none before them.

    header  magic (8)  count (u64)  bytes of one record (u64)  zeros to 64
    record  number (i64)  crc32 of number and body (u32)  body

Creating a segment is the only step that needs disk space: it raises OSError there, never a
SIGBUS later.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from bisect import bisect_left
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actd.errors import RecordingError
from actd.files import open_file

HEADER_BYTES = 64
_HEADER = struct.Struct("<8sQQ")
_COUNT = struct.Struct("<Q")
_COUNT_AT = 8
_MAGIC = b"ACTDFLT1"
_NUMBER = struct.Struct("<q")
_CRC = struct.Struct("<I")
_PREFIX_BYTES = _NUMBER.size + _CRC.size


def file_dtype(fields: list[Any]) -> np.dtype[Any]:
    """The record of a segment whose body has `fields` (numpy's descr, also as read from JSON)."""
    body = [(f[0], f[1], *(tuple(shape) for shape in f[2:])) for f in fields]
    return np.dtype([("number", "<i8"), ("crc", "<u4"), *body])


class Segment:
    """A segment being written. Raises OSError without disk space for it, leaving no file."""

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
        """Add one record; from then on it survives the end of this process."""
        start = HEADER_BYTES + self._count * self._record_bytes
        head = _NUMBER.pack(number)
        crc = _CRC.pack(zlib.crc32(body, zlib.crc32(head)))
        self._memory[start : start + self._record_bytes] = head + crc + body
        self._count += 1
        _COUNT.pack_into(self._memory, _COUNT_AT, self._count)

    def seal(self) -> None:
        """Write everything to the disk and free the unused space."""
        self._memory.flush()
        self._memory.close()
        os.ftruncate(self._fd, HEADER_BYTES + self._count * self._record_bytes)
        os.close(self._fd)


def repair(path: Path, dtype: np.dtype[Any]) -> int:
    """Seal the segment of a killed writer; return the number of its last record, or 0.

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
    """The complete records of a segment, oldest first, also while it is being written.

    `dtype` is `file_dtype(...)`. Raises RecordingError for a file that is not such a segment.
    """
    try:
        with open_file(path) as file:
            count, sealed = _read_header(path, file.read(HEADER_BYTES), dtype)
            records = np.fromfile(file, dtype, count)
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror}") from None
    return records if sealed else records[: _count_valid(records)]


def read_record(path: Path, dtype: np.dtype[Any], number: int) -> np.void | None:
    """The record of this number, without reading the others; None where it is not in the segment.

    Raises as `read_segment`.
    """
    try:
        with open_file(path) as file:
            count, _ = _read_header(path, file.read(HEADER_BYTES), dtype)
        if not count:
            return None
        records = np.memmap(path, dtype, "r", HEADER_BYTES, (count,))
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from None
    place = bisect_left(records["number"], number)
    if place == count or records["number"][place] != number:
        return None
    record = np.array(records[place : place + 1])
    return record[0] if _count_valid(record) else None


def _read_header(path: Path, header: bytes, dtype: np.dtype[Any]) -> tuple[int, bool]:
    """The number of records according to the header, and whether the segment is sealed."""
    if not header.strip(b"\0"):
        return 0, True  # the writer ended between creating the file and writing the header
    if len(header) < HEADER_BYTES or not header.startswith(_MAGIC):
        raise RecordingError(f"{path}: not a flight segment; remove it")
    _, count, record_bytes = _HEADER.unpack_from(header)
    if record_bytes != dtype.itemsize:
        raise RecordingError(
            f"{path}: records of {record_bytes} bytes, run.json describes {dtype.itemsize}: "
            "the two do not belong together; remove the segment"
        )
    size = path.stat().st_size
    sealed = size == HEADER_BYTES + count * record_bytes
    return min(count, (size - HEADER_BYTES) // record_bytes), sealed


def _count_valid(records: NDArray[Any]) -> int:
    """The number of records, from the start, with a valid checksum."""
    data = records.view(np.uint8).reshape(len(records), records.dtype.itemsize)
    sums = records["crc"]
    for index, row in enumerate(data):
        head = zlib.crc32(row[: _NUMBER.size].data)
        if zlib.crc32(row[_PREFIX_BYTES:].data, head) != sums[index]:
            return index
    return len(records)
