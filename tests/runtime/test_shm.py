"""Mailboxes between real processes: newest value, never a torn one, nothing left behind."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.runtime.shm import Ring

DTYPE = np.dtype([("value", "<i8"), ("fill", "<i8", (500,))])

WRITER = """
import sys, numpy as np
from actd.runtime.shm import Ring
ring = Ring(np.dtype([("value", "<i8"), ("fill", "<i8", (500,))]), 4, crc=sys.argv[2] == "1",
            fd=int(sys.argv[1]))
for value in range(1, 60001):
    ring.write((value, np.full(500, value)))
"""


def test_a_reader_in_another_process_never_sees_a_torn_record() -> None:
    for crc in (True, False):
        ring = Ring(DTYPE, 4, crc=crc)
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(ring.fd), str(int(crc))], pass_fds=[ring.fd]
        )
        last, seen = 0, 0
        while writer.poll() is None or ring.newest > last:
            got = ring.latest(after=last)
            if got is None:
                continue
            number, record = got
            assert number > last
            assert record["value"] == number
            assert (record["fill"] == number).all()
            last, seen = number, seen + 1
        assert writer.returncode == 0
        assert last == 60000
        assert seen > 5


@given(st.lists(st.integers(-(2**60), 2**60), max_size=30), st.integers(2, 9))
def test_since_gives_what_is_still_there_in_order(values: list[int], slots: int) -> None:
    ring = Ring(np.dtype([("value", "<i8")]), slots)
    for value in values:
        ring.write((value,))
    kept = [(number, int(record["value"])) for number, record in ring.since(0)]
    expected = list(enumerate(values, start=1))[-(slots - 1) :]
    assert kept == expected
    numbers, history = ring.history("value")
    assert list(zip(numbers.tolist(), history.tolist(), strict=True)) == expected
    assert ring.newest == len(values)
    assert ring.peek("value") == (values[-1] if values else None)


@settings(max_examples=200)
@given(st.integers(0, 64 * 3 - 1), st.integers(1, 255))
def test_a_flipped_bit_is_never_read_as_a_value(offset: int, flip: int) -> None:
    ring = Ring(np.dtype([("value", "<i8"), ("more", "<i8", (5,))]), 2)
    for value in (1, 2):
        ring.write((value, [value] * 5))
    with open(ring.fd, "r+b", buffering=0, closefd=False) as memory:
        memory.seek(64 + offset % (os.fstat(ring.fd).st_size - 64))
        byte = memory.read(1)[0]
        memory.seek(-1, os.SEEK_CUR)
        memory.write(bytes([byte ^ flip]))
    got = ring.latest()
    if got is not None:
        assert got[1]["value"] == 2
        assert (got[1]["more"] == 2).all()


def test_a_record_being_written_is_not_read() -> None:
    ring = Ring(np.dtype([("value", "<i8")]), 2)
    ring.write((1,))
    ring._lock[1] = 1  # the writer stopped half way
    assert ring.latest() is None
    assert ring.peek("value") is None
    assert [column.tolist() for column in ring.history("value")] == [[], []]
    assert ring.read(5) is None
    assert ring.read(0) is None


MIXED = np.dtype(
    [
        ("number", "<i8"),
        ("small", "u1", (3,)),
        ("flags", "<u4"),
        ("count", "<i4"),
        ("short", "<u2"),
        ("name", "S4"),
        ("none", "<f4", (0,)),
        ("floats", "<f4", (2,)),
        ("grid", "<f8", (2, 2)),
    ]
)


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.lists(st.integers(0, 255), min_size=3, max_size=3),
    st.lists(st.floats(width=32), min_size=2, max_size=2),
    st.lists(st.floats(), min_size=4, max_size=4),
)
def test_a_record_written_flat_is_the_record_written_whole(
    number: int, small: list[int], floats: list[float], grid: list[float]
) -> None:
    rings = [Ring(MIXED, 2), Ring(MIXED, 2)]
    rows = np.array(grid).reshape(2, 2)
    rings[0].write((number, small, 7, -7, 9, b"ab", [], floats, rows))
    rings[1].write_flat(number, *small, 7, -7, 9, b"ab", *floats, *grid)
    whole, flat = (ring.read(1) for ring in rings)
    assert whole is not None
    assert flat is not None
    assert whole.tobytes() == flat.tobytes()
    assert rings[1].peek("number") == number
    for ring in rings:
        os.close(ring.fd)


def test_what_does_not_fit_is_not_published_and_the_next_one_is() -> None:
    ring = Ring(np.dtype([("value", "<f4")]), 4)
    ring.write_flat(1.5)
    with pytest.raises(OverflowError):
        ring.write_flat(1e300)
    with pytest.raises(struct.error):
        ring.write_flat(1.0, 2.0)
    got = ring.latest()
    assert got is not None
    assert (got[0], got[1]["value"]) == (1, 1.5)
    assert ring.write_flat(2.5) == 2
    assert [number for number, _ in ring.since(0)] == [1, 2]


def test_rings_leave_nothing_in_dev_shm() -> None:
    before = set(Path("/dev/shm").iterdir())
    rings = [Ring(DTYPE, 4) for _ in range(5)]
    assert set(Path("/dev/shm").iterdir()) == before
    for ring in rings:
        os.close(ring.fd)
