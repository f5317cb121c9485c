"""Write a flight recording, and keep the total size of all recordings within a limit.

Owns one run's folder. The segments of a killed writer are sealed and continued by the next
writer of the same run. A full disk or a missing folder is an OSError from `append`, which the
caller may retry with the same record. The oldest segments are removed first, those of earlier
runs and then this run's, never one that is being written; another running daemon's recording
is left alone, and so are scored episodes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

from actd.flightlog.episodes import EPISODES_FILE
from actd.flightlog.format import Segment, file_dtype, repair
from actd.flightlog.pictures import FOLDER as PICTURES
from actd.flightlog.reader import (
    RUN_FILE,
    STREAMS,
    SegmentFile,
    is_being_written,
    segment_files,
    segment_path,
)
from actd.redaction import redacted

# Segments per size limit: more of them lose less of the past at a time, in more files.
_SEGMENTS = 32


class FlightLogWriter:
    """The recording of one run. `last` holds, per stream, the newest number recorded."""

    def __init__(self, run: Path, settings: Mapping[str, Any], max_bytes: int) -> None:
        """`settings` is the content of run.json; `max_bytes` bounds all runs in the same folder."""
        self.run = run
        self.last = dict.fromkeys(STREAMS, 0)
        self._settings = settings
        self._max_bytes = max_bytes
        self._dtypes = {stream: file_dtype(settings["dtypes"][stream]) for stream in STREAMS}
        self._open: dict[str, tuple[Path, Segment]] = {}
        self._lock = -1
        self._number = 0

    @property
    def segment_bytes(self) -> int:
        """What the disk must have free for the next segment."""
        return self._max_bytes // _SEGMENTS

    def begin(self) -> None:
        """Create the folder, or take over that of an earlier process of this run.

        Calling it again does nothing. Raises OSError and RecordingError.
        """
        if self._lock >= 0:
            return
        self._describe()
        segments = segment_files(self.run)
        for stream in STREAMS:
            for file in reversed([file for file in segments if file.stream == stream]):
                self.last[stream] = repair(file.path, self._dtypes[stream])
                if self.last[stream]:
                    break  # an empty one was removed: look at the one before
        self._number = segments[-1].number + 1 if segments else 0
        lock = os.open(self.run, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_SH)
        self._lock = lock

    def append(self, stream: str, number: int, body: bytes) -> None:
        """Append one record. Raises OSError without disk space for another segment."""
        path, segment = self._open.get(stream, (None, None))
        if segment is not None and segment.full:
            segment.seal()
            path, segment = self._open.pop(stream)[0], None
        if segment is None:
            path, segment = self._new_segment(stream)
            self._open[stream] = (path, segment)
        segment.append(number, body)
        self.last[stream] = number

    def close(self) -> None:
        """Seal the open segments. Raises OSError."""
        for stream in list(self._open):
            self._open.pop(stream)[1].seal()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _new_segment(self, stream: str) -> tuple[Path, Segment]:
        size = self.segment_bytes
        self._describe()  # the folder may have been deleted meanwhile
        writing = {path for path, _ in self._open.values()}
        prune(self.run.parent, self.run, writing, self._max_bytes - size)
        path = segment_path(self.run, stream, self._number)
        segment = Segment(path, self._dtypes[stream].itemsize, size)
        self._number += 1
        return path, segment

    def _describe(self) -> None:
        self.run.mkdir(parents=True, exist_ok=True)
        target = self.run / RUN_FILE
        if target.exists():
            return
        draft = self.run / f"{RUN_FILE}.new"
        with draft.open("w", encoding="utf-8") as file:
            json.dump(redacted(self._settings), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)


def prune(flights: Path, current: Path, writing: Set[Path], max_bytes: int) -> None:
    """Remove the oldest segments until all runs together are no larger than `max_bytes`.

    Segments in `writing` stay. A run that lost its last segment goes with its run.json, unless it
    has scored episodes, which are few bytes.
    Raises OSError.
    """
    runs = sorted(path.parent for path in flights.glob(f"*/{RUN_FILE}"))
    runs.sort(key=lambda run: run == current)  # ours last, even if the wall clock was set back
    sizes = {run: sum(file.stat().st_size for file in run.iterdir()) for run in runs}
    total = sum(sizes.values())
    for run in runs:
        if total <= max_bytes:
            return
        if run != current and is_being_written(run):
            continue
        for file in _oldest_first(segment_files(run)):
            if total > max_bytes and file.path not in writing:
                total -= file.path.stat().st_size
                file.path.unlink()
        if run != current and not segment_files(run) and not (run / EPISODES_FILE).exists():
            _remove_run(run)


def _oldest_first(files: list[SegmentFile]) -> list[SegmentFile]:
    """Sort by end: a segment ends where the next of its stream begins.

    What remains after pruning covers one stretch of time, ticks together with their chunks.
    """
    ends: dict[SegmentFile, int] = {}
    for file in files:
        later = (f.number for f in files if f.stream == file.stream and f.number > file.number)
        ends[file] = next(later, files[-1].number + 1)
    return sorted(files, key=lambda file: ends[file])


def _remove_run(run: Path) -> None:
    (run / RUN_FILE).unlink()
    shutil.rmtree(run / PICTURES, ignore_errors=True)
    if not any(run.iterdir()):  # foreign files are left alone
        run.rmdir()
