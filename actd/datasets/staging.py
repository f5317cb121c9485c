"""Adding an episode's files to a dataset all at once, or not at all.

An episode is written in `.recording` inside the dataset. When it is whole, that folder is
renamed to `.finished` (from then on the episode exists) and its files move to their
places, the info file last. A recorder that dies before the rename loses the episode it was
writing and no other; after it, the next one finishes the move.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from actd.datasets.paths import INFO
from actd.errors import RecordingError

_RECORDING, _FINISHED = ".recording", ".finished"


class Stage:
    """The files of one episode on their way into the dataset at `root`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root / _RECORDING
        self._folder.mkdir(parents=True)

    def path(self, relative: str) -> Path:
        """Where to write what shall become `root/relative`; its folder exists."""
        path = self._folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def commit(self) -> None:
        """Make everything written so far part of the dataset."""
        for path in _files(self._folder):
            _sync(path)
        self._folder.rename(self._root / _FINISHED)
        _move_in(self._root)

    def discard(self) -> None:
        """Forget everything written so far."""
        shutil.rmtree(self._folder, ignore_errors=True)


def recover(root: Path) -> list[str]:
    """Settle what an interrupted recorder left in `root`; says what was done, a line each."""
    notes = []
    if (root / _FINISHED).is_dir():
        _move_in(root)
        notes.append(f"{root}: completed the last episode, which an interruption had left in parts")
    if (root / _RECORDING).is_dir():
        size = sum(path.stat().st_size for path in _files(root / _RECORDING))
        shutil.rmtree(root / _RECORDING)
        notes.append(
            f"{root}: dropped an episode that was cut off while it was being recorded "
            f"({size / 1e6:.1f} MB)"
        )
    return notes


def lock(root: Path) -> int:
    """Keep every other recorder out until the returned descriptor is closed."""
    fd = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise RecordingError(
            f"{root}: another recorder is writing to it; stop that one, or choose another folder"
        ) from None
    return fd


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _move_in(root: Path) -> None:
    finished = root / _FINISHED
    # The info file says how many episodes there are, so it comes when they are there.
    for path in sorted(_files(finished), key=lambda path: path == finished / INFO):
        target = root / path.relative_to(finished)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        _sync(target.parent)
    shutil.rmtree(finished)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
