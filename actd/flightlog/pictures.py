"""Pictures of a run: the last seconds of every camera, and the moments that were saved of them.

    <run>/pictures/last/cam_high/0000001234567890.jpg   by capture time, ns of CLOCK_MONOTONIC
    <run>/pictures/20260102T030405Z-fault-1234.zip      a moment: moment.json and such pictures

The last seconds are plain files, so that they survive the end of every process; most are removed
before the kernel brings them to the disk. A moment is one file that is there whole or not at all.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal, NamedTuple, get_args
from urllib.parse import quote, unquote

from actd.errors import RecordingError
from actd.flightlog.reader import is_being_written

Cause = Literal["fault", "order", "end", "killed"]

Pictures = Mapping[str, Mapping[int, Path | zipfile.Path]]
"""Files by camera and capture time in ns."""

FOLDER = "pictures"
_LAST = "last"
_MOMENT = "moment.json"
_PICTURE = re.compile(r"(\d{10,20})\.jpg")
# Every JPEG ends so; one that was being written when its process was killed does not.
_END = b"\xff\xd9"
_LARGEST = 1 << 26


@dataclass(frozen=True, slots=True)
class Moment:
    """What pictures were saved for: `tick`, at `t_ns` of CLOCK_MONOTONIC, and why in words."""

    cause: Cause
    reason: str
    tick: int
    t_ns: int
    unix_s: float

    @property
    def file_name(self) -> str:
        """Sorts by time; no two moments of a run share it."""
        stamp = datetime.fromtimestamp(self.unix_s, timezone.utc)
        return f"{stamp:%Y%m%dT%H%M%SZ}-{self.cause}-{self.tick}.zip"


class _Last(NamedTuple):
    t_ns: int
    camera: str
    path: Path
    size: int


class PictureWriter:
    """The pictures of one run, of which those of the last `last_ns` and at most a quarter of
    `max_bytes` are there. All runs together stay within `max_bytes`. Methods raise OSError.
    """

    def __init__(self, run: Path, last_ns: int, max_bytes: int) -> None:
        self._run = run
        self._folder = run / FOLDER
        self._last_ns = last_ns
        self._max_bytes = max_bytes
        self._last: deque[_Last] = deque()
        self._size = 0

    def begin(self) -> None:
        """Create the folder, or take over that of an earlier process of this run."""
        self._folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        for draft in self._folder.glob("*.new"):
            draft.unlink()
        self._last.clear()
        self._size = 0
        for picture in sorted(_last_of(self._folder)):
            self._append(picture)
        self._prune(0)

    def add(self, camera: str, t_ns: int, jpeg: bytes) -> None:
        """Write the newest picture of a camera and remove what is too old."""
        path = self._folder / _LAST / quote(camera, safe="") / f"{t_ns:016d}.jpg"
        try:
            path.write_bytes(jpeg)
        except FileNotFoundError:  # the first of this camera
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(jpeg)
        self._append(_Last(t_ns, camera, path, len(jpeg)))
        while self._last and (
            self._last[0].t_ns < t_ns - self._last_ns or self._size > self._max_bytes // 4
        ):
            oldest = self._last.popleft()
            self._size -= oldest.size
            oldest.path.unlink(missing_ok=True)

    def save(self, moment: Moment) -> Path:
        """Write the pictures that are there as a moment, onto the disk; returns its file."""
        self._prune(self._size)
        path = self._folder / moment.file_name
        draft = path.with_suffix(".new")
        with draft.open("wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(_MOMENT, json.dumps(asdict(moment)))
                for picture in self._last:
                    with suppress(FileNotFoundError):  # somebody removed it
                        name = picture.path.relative_to(self._folder / _LAST)
                        archive.write(picture.path, str(name))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        return path

    def clear(self) -> None:
        """Remove the last seconds, which nobody asked for; what was saved stays."""
        shutil.rmtree(self._folder / _LAST, ignore_errors=True)
        self._last.clear()
        self._size = 0
        with suppress(OSError):  # there are moments in it
            self._folder.rmdir()

    def _append(self, picture: _Last) -> None:
        self._last.append(picture)
        self._size += picture.size

    def _prune(self, room: int) -> None:
        prune(self._run.parent, self._run, self._max_bytes * 3 // 4 - room)


def prune(flights: Path, current: Path, max_bytes: int) -> None:
    """Remove the oldest moments, and what killed runs left, until all are within `max_bytes`.

    Raises OSError.
    """
    sizes: dict[Path, int] = {}
    for folder in sorted(flights.glob(f"*/{FOLDER}")):
        lives = folder.parent == current or is_being_written(folder.parent)
        for path in sorted(folder.iterdir()):
            if path.suffix == ".zip" or not lives:
                sizes[path] = _size(path)
    total = sum(sizes.values())
    for path, size in sizes.items():
        if total <= max_bytes:
            return
        total -= size
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


class SavedMoment(NamedTuple):
    """A moment and its pictures: by camera, by capture time."""

    moment: Moment
    path: Path
    pictures: Pictures

    def read(self, camera: str, t_ns: int) -> bytes:
        """One JPEG; b"" for one that was not written to its end. Raises RecordingError."""
        try:
            jpeg = self.pictures[camera][t_ns].read_bytes()
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise RecordingError(f"{self.path}: {_damaged(error)}") from None
        return jpeg if jpeg.endswith(_END) else b""


def saved_moments(run: Path) -> tuple[list[SavedMoment], list[str]]:
    """The moments of a run, oldest first, and a line for each file that is none.

    Where every process was killed, its last seconds are the last moment.
    """
    if not (run / FOLDER).is_dir():
        return [], []
    moments, problems = [], []
    for path in sorted((run / FOLDER).glob("*.zip")):
        try:
            moments.append(_read_moment(path))
        except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
            problems.append(f"{path}: {_damaged(error)}")
    try:
        if not is_being_written(run):
            moments += _left_behind(run / FOLDER)
    except OSError as error:
        problems.append(f"{run / FOLDER}: cannot be read: {error.strerror}")
    return moments, problems


def picture_at(run: Path, camera: str, t_ns: int) -> bytes | None:
    """The newest picture of a camera at that time, of a run that may go on; None where none is
    left. Raises OSError and RecordingError.
    """
    places = [_pictures(run / FOLDER / _LAST)]
    places += [each.pictures for each in saved_moments(run)[0]]
    for pictures in places:
        of_camera = pictures.get(camera, {})
        earlier = [time for time in of_camera if time <= t_ns]
        if earlier and min(of_camera) <= t_ns <= max(of_camera):
            with suppress(FileNotFoundError):  # it was the oldest
                return of_camera[max(earlier)].read_bytes()
    return None


def _damaged(error: Exception) -> str:
    return f"no moment of pictures ({type(error).__name__}: {error}); copy it again, or remove it"


def _read_moment(path: Path) -> SavedMoment:
    root = zipfile.Path(path)
    if any(member.file_size > _LARGEST for member in root.root.infolist()):
        raise ValueError("a member is too large")
    moment = Moment(**json.loads((root / _MOMENT).read_text(encoding="utf-8")))
    kinds = (str, str, int, int, float)
    values = asdict(moment).values()
    if tuple(map(type, values)) != kinds or moment.cause not in get_args(Cause):
        raise ValueError(f"{_MOMENT}: not a moment")
    return SavedMoment(moment, path, _pictures(root))


def _left_behind(folder: Path) -> Iterator[SavedMoment]:
    """The last seconds of a run whose processes were all killed."""
    files = sorted(_last_of(folder))
    if files:
        newest = files[-1]
        stamp = newest.path.stat().st_mtime
        reason = "every process of the daemon was killed, or the computer went down"
        moment = Moment("killed", reason, 0, newest.t_ns, stamp)
        yield SavedMoment(moment, folder / _LAST, _pictures(folder / _LAST))


def _last_of(folder: Path) -> Iterator[_Last]:
    for camera, pictures in _pictures(folder / _LAST).items():
        for t_ns, path in pictures.items():
            if isinstance(path, Path):
                yield _Last(t_ns, camera, path, path.stat().st_size)


def _pictures(root: Path | zipfile.Path) -> Pictures:
    """The pictures below a folder or in a ZIP file."""
    pictures: dict[str, dict[int, Path | zipfile.Path]] = {}
    folders: Iterable[Path | zipfile.Path] = root.iterdir() if root.is_dir() else ()
    for folder in folders:
        files: Iterable[Path | zipfile.Path] = folder.iterdir() if folder.is_dir() else ()
        for path in files:
            if match := _PICTURE.fullmatch(path.name):
                pictures.setdefault(unquote(folder.name), {})[int(match[1])] = path
    return pictures
