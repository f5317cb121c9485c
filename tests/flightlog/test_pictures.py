"""Pictures on the disk: bounded, whole or seen to be cut, and pruned with their runs."""

from __future__ import annotations

import fcntl
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actd.errors import RecordingError
from actd.flightlog.pictures import Moment, PictureWriter, picture_at, prune, saved_moments
from actd.flightlog.writer import prune as prune_runs

SECOND_NS = 1_000_000_000
START_NS = 5_000 * SECOND_NS
LARGE = 1 << 30


def jpeg(number: int, size: int = 100) -> bytes:
    return bytes([number % 251]) * (size - 2) + b"\xff\xd9"


def moment(tick: int = 7, cause: str = "fault") -> Moment:
    return Moment(cause, "a gap", tick, START_NS, 1.7e9 + tick)  # type: ignore[arg-type]


def made(run: Path, seconds: float = 3.0, max_bytes: int = LARGE) -> PictureWriter:
    writer = PictureWriter(run, round(seconds * SECOND_NS), max_bytes)
    writer.begin()
    return writer


def files(run: Path) -> list[str]:
    return sorted(path.name for path in run.rglob("*") if path.is_file())


@contextmanager
def recorded(run: Path) -> Iterator[None]:
    """A flight recorder is at work in this run."""
    lock = os.open(run, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(lock)


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("ab/"), st.integers(0, 2000)), max_size=40),
    seconds=st.floats(1, 5),
    size=st.integers(10, 400),
)
def test_what_is_there_is_young_and_small(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int]],
    seconds: float,
    size: int,
) -> None:
    run = tmp_path_factory.mktemp("runs") / "run"
    max_bytes, t_ns = 20_000, START_NS
    writer, added = made(run, seconds, max_bytes), {}
    for number, (camera, step_ms) in enumerate(steps):
        t_ns += 1 + step_ms * 1_000_000
        writer.add(camera, t_ns, jpeg(number, size))
        added[camera, t_ns] = jpeg(number, size)
    most = max_bytes // 4 // size
    expected = [key for key in added if key[1] >= t_ns - round(seconds * SECOND_NS)][-most:]
    writer.save(moment())
    moments, problems = saved_moments(run)
    assert problems == []
    assert len(moments) == (2 if expected else 1)  # what is left there is one too
    for each in moments:
        found = [(camera, time) for camera, times in each.pictures.items() for time in times]
        assert sorted(found) == sorted(expected)
        assert all(each.read(*key) == added[key] for key in found)
    assert moments[0].moment == moment()
    shutil.rmtree(run)


def test_who_takes_over_goes_on_with_what_is_there(tmp_path: Path) -> None:
    first = made(tmp_path)
    for number in range(3):
        first.add("top", START_NS + number * SECOND_NS, jpeg(number))
    second = made(tmp_path)
    second.add("top", START_NS + 4 * SECOND_NS, jpeg(4))
    assert len(files(tmp_path)) == 3
    second.save(moment())
    second.clear()
    assert files(tmp_path) == [moment().file_name]


def test_one_that_was_cut_is_not_shown(tmp_path: Path) -> None:
    writer = made(tmp_path)
    writer.add("top", START_NS, jpeg(1)[:-1])
    writer.add("top", START_NS + 1, jpeg(2))
    ((left,), _) = saved_moments(tmp_path)
    assert left.moment.cause == "killed"
    assert [left.read("top", START_NS + k) for k in range(2)] == [b"", jpeg(2)]


def test_a_run_that_goes_on_has_no_end_yet(tmp_path: Path) -> None:
    made(tmp_path).add("top", START_NS, jpeg(1))
    with recorded(tmp_path):
        assert saved_moments(tmp_path) == ([], [])
        assert picture_at(tmp_path, "top", START_NS) == jpeg(1)
        assert picture_at(tmp_path, "top", START_NS - 1) is None
        assert picture_at(tmp_path, "other", START_NS) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"PK",
        {},
        {"moment.json": b"{"},
        {"moment.json": b"[]"},
        {"moment.json": b'{"cause": "fault"}'},
        {"moment.json": b'{"cause":"flood","reason":"","tick":1,"t_ns":2,"unix_s":3.0}'},
        {"moment.json": b'{"cause":"fault","reason":1,"tick":1,"t_ns":2,"unix_s":3.0}'},
        {"moment.json": b"\xff"},
    ],
)
def test_what_is_no_moment_is_one_line(tmp_path: Path, content: bytes | dict[str, bytes]) -> None:
    path = tmp_path / "pictures" / "x.zip"
    path.parent.mkdir()
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in content.items():
                archive.writestr(name, data)
    moments, (problem,) = saved_moments(tmp_path)
    assert moments == []
    assert problem.startswith(f"{path}: no moment of pictures")
    assert len(problem.splitlines()) == 1


def test_a_damaged_picture_is_one_line(tmp_path: Path) -> None:
    writer = made(tmp_path)
    writer.add("top", START_NS, jpeg(1))
    file = writer.save(moment())
    data = file.read_bytes()
    file.write_bytes(data.replace(jpeg(1), jpeg(2)))
    (saved, _), _ = saved_moments(tmp_path)
    with pytest.raises(RecordingError, match="copy it again, or remove it"):
        saved.read("top", START_NS)


def test_the_oldest_moments_go_first_and_never_what_is_being_written(tmp_path: Path) -> None:
    runs = [tmp_path / f"2026010{day}T000000Z-aaaa" for day in range(1, 4)]
    for run in runs:
        writer = made(run)
        writer.add("top", START_NS, jpeg(1, 1000))
        writer.save(moment(1))
        writer.save(moment(2))
    with recorded(runs[1]):
        prune(tmp_path, runs[2], 5000)
        # Of the first run also what its death left; of the second only moments.
        assert files(runs[0]) == []
        assert len(files(runs[1])) == 2
        assert len(files(runs[2])) == 3
        prune(tmp_path, runs[2], 0)
    assert [name.endswith(".jpg") for run in runs for name in files(run)] == [True, True]


def test_a_run_that_is_pruned_takes_its_pictures_along(tmp_path: Path) -> None:
    old, new = tmp_path / "20260101T000000Z-aaaa", tmp_path / "20260102T000000Z-aaaa"
    for run in (old, new):
        writer = made(run)
        writer.add("top", START_NS, jpeg(1))
        writer.save(moment())
        (run / "run.json").write_text("{}")
        (run / "ticks-00000.bin").write_bytes(b"x" * 1000)
    prune_runs(tmp_path, new, set(), 20000)
    assert old.is_dir()
    prune_runs(tmp_path, new, {new / "ticks-00000.bin"}, 500)
    assert not old.exists()
    assert len(files(new)) == 4
