"""The recording's format: whatever was appended is read back, wherever the writer ended."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from actd.errors import RecordingError
from actd.flightlog.format import HEADER_BYTES, Segment, file_dtype, read_segment, repair
from actd.flightlog.reader import Gap, default_flights, read_flight, read_tick, segment_files
from actd.flightlog.writer import FlightLogWriter

FIELDS = [("t_ns", "<i8"), ("positions", "<f8", (3,))]
BODY = np.dtype(FIELDS)
RECORD = file_dtype(FIELDS)
CHUNK_FIELDS = [("t_observation_ns", "<i8"), ("actions", "<f4", (2, 3))]
CHUNK_BODY = np.dtype(CHUNK_FIELDS)
SETTINGS: dict[str, Any] = {
    "schema": 1,
    "run": "test",
    "dtypes": {"ticks": FIELDS, "chunks": CHUNK_FIELDS},
}
MAX_BYTES = 32 * 1024  # segments of 1 KiB


def body(number: int) -> bytes:
    return np.array((number * 10, [number, 0.5, -number]), BODY).tobytes()


def chunk_body(number: int) -> bytes:
    return np.array((number * 10, np.full((2, 3), number)), CHUNK_BODY).tobytes()


def write_segment(path: Path, count: int) -> Segment:
    segment = Segment(path, RECORD.itemsize, 4096)
    for number in range(1, count + 1):
        segment.append(number, body(number))
    return segment


def new_log(flights: Path, run: str = "a") -> FlightLogWriter:
    log = FlightLogWriter(flights / run, SETTINGS, MAX_BYTES)
    log.begin()
    return log


def append_ticks(log: FlightLogWriter, numbers: range) -> None:
    for number in numbers:
        log.append("ticks", number, body(number))


def test_a_segment_reads_while_open_and_after_sealing(tmp_path: Path) -> None:
    path = tmp_path / "ticks-00000.bin"
    segment = write_segment(path, 7)
    open_size = path.stat().st_size
    assert read_segment(path, RECORD)["number"].tolist() == list(range(1, 8))
    segment.seal()
    records = read_segment(path, RECORD)
    assert records["t_ns"].tolist() == [n * 10 for n in range(1, 8)]
    assert records["positions"][2].tolist() == [3, 0.5, -3]
    assert path.stat().st_size == HEADER_BYTES + 7 * RECORD.itemsize < open_size


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 20),
    damage=st.lists(st.tuples(st.integers(HEADER_BYTES, 4095), st.integers(1, 255)), max_size=3),
    cut=st.integers(0, 4096),
)
def test_any_crash_leaves_a_true_prefix(
    tmp_path_factory: pytest.TempPathFactory, count: int, damage: list[tuple[int, int]], cut: int
) -> None:
    """Bytes that never reached the disk cost their record and what follows, nothing before."""
    assume(cut != HEADER_BYTES + count * RECORD.itemsize)  # as a sealed one would look
    path = tmp_path_factory.mktemp("crash") / "ticks-00000.bin"
    write_segment(path, count)
    data = bytearray(path.read_bytes())
    for at, flip in damage:
        if at < len(data):
            data[at] ^= flip
    path.write_bytes(data[:cut])
    harm = min([at for at, _ in damage] + [cut])
    unharmed = min(count, max(0, (harm - HEADER_BYTES) // RECORD.itemsize))
    if 0 < cut < HEADER_BYTES:
        with pytest.raises(RecordingError, match="not a flight segment"):
            read_segment(path, RECORD)
        return
    numbers = read_segment(path, RECORD)["number"].tolist()
    assert numbers == list(range(1, len(numbers) + 1))
    assert unharmed <= len(numbers) <= count
    last = repair(path, RECORD)
    assert last == len(numbers)
    assert path.exists() == bool(last)
    if last:
        assert read_segment(path, RECORD)["number"].tolist() == numbers


def test_a_count_beyond_the_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "ticks-00000.bin"
    write_segment(path, 3).seal()
    data = bytearray(path.read_bytes())
    data[8:16] = (1 << 50).to_bytes(8, "little")
    path.write_bytes(data)
    assert read_segment(path, RECORD)["number"].tolist() == [1, 2, 3]


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ticks-00000.bin"
    path.write_bytes(b"hello" * 100)
    with pytest.raises(RecordingError, match="not a flight segment"):
        read_segment(path, RECORD)
    path.unlink()
    write_segment(path, 1).seal()
    with pytest.raises(RecordingError, match=f"records of {RECORD.itemsize} bytes"):
        read_segment(path, file_dtype([*FIELDS, ("more", "<i8")]))


def test_a_run_is_read_whole_across_segments(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for number in range(1, 101):
        log.append("ticks", number, body(number))
        if number % 10 == 0:
            log.append("chunks", number // 10, chunk_body(number // 10))
    running = read_flight(tmp_path)
    log.close()
    flight = read_flight(tmp_path / "a")
    assert len(segment_files(tmp_path / "a")) > 5
    assert flight.ticks["number"].tolist() == list(range(1, 101))
    assert flight.chunks["actions"][4, 1].tolist() == [5, 5, 5]
    assert flight.gaps == ()
    assert flight.settings["run"] == "test"
    assert np.array_equal(running.ticks, flight.ticks)


@settings(max_examples=30, deadline=None)
@given(numbers=st.sets(st.integers(1, 90), min_size=1, max_size=80), asked=st.integers(0, 95))
def test_one_tick_is_read_alone(
    tmp_path_factory: pytest.TempPathFactory, numbers: set[int], asked: int
) -> None:
    run = tmp_path_factory.mktemp("runs") / "a"
    log = new_log(run.parent)
    for number in sorted(numbers):
        log.append("ticks", number, body(number))
    for closed in (False, True):
        record = read_tick(run, RECORD, asked)
        assert (None if record is None else record["number"]) == (
            asked if asked in numbers else None
        )
        assert record is None or record["t_ns"] == 10 * asked
        if not closed:
            log.close()
    shutil.rmtree(run)
    assert read_tick(run, RECORD, asked) is None


def test_a_tick_that_is_damaged_is_none(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    append_ticks(log, range(1, 4))
    log.close()
    (segment,) = segment_files(tmp_path / "a")
    data = bytearray(segment.path.read_bytes())
    data[-1] ^= 1
    segment.path.write_bytes(data)
    assert read_tick(tmp_path / "a", RECORD, 3) is None
    segment.path.write_bytes(b"something else" * 20)
    with pytest.raises(RecordingError, match="not a flight segment; remove it"):
        read_tick(tmp_path / "a", RECORD, 3)


def test_gaps_are_named(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    append_ticks(log, range(5, 10))
    append_ticks(log, range(20, 22))
    log.close()
    assert read_flight(tmp_path).gaps == (Gap("ticks", 10, 10),)


def test_another_process_goes_on_where_one_was_killed(tmp_path: Path) -> None:
    append_ticks(new_log(tmp_path), range(1, 51))  # never closed
    log = new_log(tmp_path)
    assert log.last == {"ticks": 50, "chunks": 0}
    append_ticks(log, range(51, 60))
    log.close()
    flight = read_flight(tmp_path)
    assert flight.ticks["number"].tolist() == list(range(1, 60))
    assert flight.gaps == ()


def test_a_segment_that_was_only_just_made_does_not_hide_the_one_before(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    append_ticks(log, range(1, 4))
    log.close()
    (tmp_path / "a" / "ticks-00007.bin").write_bytes(b"\0" * 1024)
    log = new_log(tmp_path)
    assert log.last["ticks"] == 3
    append_ticks(log, range(4, 6))
    assert read_flight(tmp_path).ticks["number"].tolist() == [1, 2, 3, 4, 5]


def test_kill_9_loses_nothing_that_was_appended(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tests.flightlog.test_flightlog import append_ticks, new_log\n"
        "append_ticks(new_log(Path(sys.argv[1])), range(1, 101))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert read_flight(tmp_path).ticks["number"].tolist() == list(range(1, 101))


def test_the_newest_run_is_read(tmp_path: Path) -> None:
    for run, first in (("20260101T000000Z-a", 1), ("20260102T000000Z-b", 100)):
        log = new_log(tmp_path, run)
        append_ticks(log, range(first, first + 3))
        log.close()
    assert read_flight(tmp_path).ticks["number"][0] == 100


def folder_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_all_runs_together_stay_within_the_size(tmp_path: Path) -> None:
    """The oldest go first, and what is left covers one stretch with its chunks."""
    for run in "abc":
        log = new_log(tmp_path, run)
        for number in range(1, 600):
            log.append("ticks", number, body(number))
            if number % 10 == 0:
                log.append("chunks", number // 10, chunk_body(number // 10))
            assert folder_bytes(tmp_path) <= MAX_BYTES
        log.close()
    assert not (tmp_path / "a").exists()
    flight = read_flight(tmp_path)
    assert flight.folder.name == "c"
    assert flight.ticks["number"][-1] == 599
    assert flight.gaps == ()


def test_the_newest_stretch_keeps_its_plans_when_the_run_outgrows_the_size(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    for number in range(1, 3000):
        log.append("ticks", number, body(number))
        if number % 100 == 0:
            log.append("chunks", number // 100, chunk_body(number // 100))
    flight = read_flight(tmp_path)
    first = int(flight.ticks["number"][0])
    assert first > 1
    assert flight.chunks["number"][0] * 100 <= first + 100


def test_what_others_put_into_a_run_stays(tmp_path: Path) -> None:
    log = new_log(tmp_path, "a")
    append_ticks(log, range(1, 600))
    log.close()
    note = tmp_path / "a" / "note.txt"
    note.write_text("keep")
    append_ticks(new_log(tmp_path, "b"), range(1, 3000))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["note.txt"]


def test_another_daemons_running_recording_is_left_alone(tmp_path: Path) -> None:
    append_ticks(new_log(tmp_path, "a"), range(1, 600))
    # A lock belongs to the open file: this process's own would not stop it.
    lock = os.open(tmp_path / "a", os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    append_ticks(new_log(tmp_path, "b"), range(1, 3000))
    assert read_flight(tmp_path / "a").ticks["number"].tolist() == list(range(1, 600))
    os.close(lock)


def test_a_folder_tidied_away_is_made_again(tmp_path: Path) -> None:
    log = new_log(tmp_path)
    append_ticks(log, range(1, 10))
    shutil.rmtree(tmp_path / "a")
    append_ticks(log, range(10, 100))
    log.close()
    assert read_flight(tmp_path).ticks["number"][-1] == 99


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda run: (run / "run.json").unlink(), "run.json: missing"),
        (lambda run: (run / "run.json").write_text("{"), "cannot be read"),
        (lambda run: (run / "run.json").write_text('{"schema": 99}'), "schema 99"),
        (
            lambda run: (run / "run.json").write_text(json.dumps({**SETTINGS, "dtypes": {}})),
            "dtypes.ticks",
        ),
        (shutil.rmtree, "no such folder"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, damage: Any, words: str) -> None:
    log = new_log(tmp_path)
    append_ticks(log, range(1, 3))
    log.close()
    damage(tmp_path / "a")
    with pytest.raises(RecordingError, match=words) as caught:
        read_flight(tmp_path / "a")
    assert str(tmp_path / "a") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_folder_names_what_makes_a_recording(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="actd run"):
        read_flight(tmp_path)


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/actd")
    assert default_flights() == Path("/var/lib/actd/flights")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert default_flights() == Path("/x/actd/flights")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", "/home/u")
    assert default_flights() == Path("/home/u/.local/state/actd/flights")
