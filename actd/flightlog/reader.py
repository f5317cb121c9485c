"""Read the flight recording of one daemon run: a folder of segments and their description.

    <flights>/<UTC stamp>-<process>/run.json          settings, engine, machine, record layouts
                                    ticks-00000.bin   see actd.flightlog.format
                                    chunks-00001.bin   the number is the order of creation

`read_flight` returns everything that was recorded, also of a run that is still going or that
ended by `kill -9`. Raises RecordingError and nothing else for what is wrong on disk.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from actd.errors import RecordingError
from actd.files import read_json
from actd.flightlog.format import file_dtype, read_record, read_segment
from actd.folders import state_folder

SCHEMA = 1
RUN_FILE = "run.json"
FLIGHTS = "flights"
"""The folder of runs in the state folder, and in what `actd demo` writes."""
STREAMS = ("ticks", "chunks")
_SEGMENT_NAME = re.compile(r"(ticks|chunks)-(\d{5,})\.bin")


class SegmentFile(NamedTuple):
    """One segment of a run; `number` is its place in the order of creation."""

    number: int
    stream: str
    path: Path


class Gap(NamedTuple):
    """Records that are missing: `lost` of them, from number `first` on."""

    stream: str
    first: int
    lost: int


@dataclass(frozen=True, slots=True)
class Flight:
    """The recording of one run.

    `settings` is run.json, which is `actd.runtime.run_info.RunInfo` as JSON data. `ticks` and
    `chunks` are structured arrays, oldest first, with the fields of
    `actd.runtime.channels.tick_dtype` and `chunk_dtype` and each record's `number` in its stream,
    from 1. `gaps` lie between records; older records may have been pruned as well.
    """

    folder: Path
    settings: Mapping[str, Any]
    ticks: NDArray[Any]
    chunks: NDArray[Any]
    gaps: tuple[Gap, ...]


def default_flights() -> Path:
    """The default folder of flight recordings."""
    return state_folder() / FLIGHTS


def read_flight(folder: Path) -> Flight:
    """Read the recording in `folder`; in a folder of runs, the newest."""
    run = _run_folder(folder)
    settings = read_settings(run)
    ticks, chunks = (_read_stream(run, stream, settings) for stream in STREAMS)
    gaps = (*_gaps("ticks", ticks), *_gaps("chunks", chunks))
    return Flight(run, settings, ticks, chunks, gaps)


def read_tick(run: Path, dtype: np.dtype[Any], number: int) -> np.void | None:
    """One tick of a run, also of one that goes on; None where it is not recorded.

    `dtype` is `file_dtype(...)`. Raises RecordingError.
    """
    try:
        segments = [file for file in segment_files(run) if file.stream == "ticks"]
    except OSError:
        return None
    for file in reversed(segments):
        record = read_record(file.path, dtype, number)
        if record is not None:
            return record
    return None


def runs_in(folder: Path, file: str = RUN_FILE) -> list[Path]:
    """The runs with this file in a folder of runs, or in its `flights`, by name, which is by time.

    Raises OSError.
    """
    for place in (folder, folder / FLIGHTS):
        if runs := sorted(path.parent for path in place.glob(f"*/{file}")):
            return runs
    return []


def segment_files(run: Path) -> list[SegmentFile]:
    """The segments in a run's folder in order of creation. Raises OSError."""
    matches = [(_SEGMENT_NAME.fullmatch(path.name), path) for path in run.iterdir()]
    return sorted(SegmentFile(int(m[2]), m[1], path) for m, path in matches if m)


def segment_path(run: Path, stream: str, number: int) -> Path:
    """The path of a segment."""
    return run / f"{stream}-{number:05d}.bin"


def is_being_written(run: Path) -> bool:
    """Whether a recorder is at work in a run's folder. Raises OSError."""
    fd = os.open(run, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def check_folder(folder: Path) -> None:
    """Raise RecordingError where it is none."""
    if not folder.is_dir():
        what = "a file" if folder.is_file() else "no such folder"
        raise RecordingError(f"{folder}: {what}; give a run's folder or the one above it")


def _run_folder(folder: Path) -> Path:
    if (folder / RUN_FILE).is_file():
        return folder
    check_folder(folder)
    try:
        runs = runs_in(folder)
        if not runs and segment_files(folder):
            raise RecordingError(
                f"{folder / RUN_FILE}: missing; it describes the segments beside it; copy the "
                "whole folder of the run"
            )
    except OSError as error:
        raise RecordingError(f"{folder}: cannot be read: {error.strerror}") from None
    if not runs:
        raise RecordingError(
            f"{folder}: no flight recording: `actd run` writes one to {default_flights()}, "
            "or to flight.folder"
        )
    return runs[-1]


def read_settings(run: Path) -> dict[str, Any]:
    """The run.json of a run. Raises RecordingError."""
    path = run / RUN_FILE
    try:
        settings = read_json(path)
        schema = settings["schema"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(
            f"{path}: cannot be read ({type(error).__name__}: {error}): the recording is unusable "
            "without it"
        ) from None
    if schema != SCHEMA:
        raise RecordingError(
            f"{path}: schema {schema!r}, this actd reads {SCHEMA}; use the actd that recorded it"
        )
    return dict(settings)


def _read_stream(run: Path, stream: str, settings: Mapping[str, Any]) -> NDArray[Any]:
    try:
        dtype = file_dtype(settings["dtypes"][stream])
    except (LookupError, TypeError, ValueError):
        raise RecordingError(f"{run / RUN_FILE}: dtypes.{stream}: not a record layout") from None
    try:
        paths = [file.path for file in segment_files(run) if file.stream == stream]
    except OSError as error:
        raise RecordingError(f"{run}: cannot be read: {error.strerror}") from None
    parts = [read_segment(path, dtype) for path in paths]
    return np.concatenate([np.empty(0, dtype), *parts])


def _gaps(stream: str, records: NDArray[Any]) -> Iterator[Gap]:
    numbers = records["number"]
    steps = np.diff(numbers)
    for index in np.flatnonzero(steps > 1):
        yield Gap(stream, int(numbers[index]) + 1, int(steps[index]) - 1)
