"""Build in a scratch folder and move the finished engine into place.

Guarantees that a failed or interrupted build changes nothing: an existing engine is replaced
only by a finished one. Raises UsageError when a folder cannot be written or something that
is not an engine is in the way, EngineError when the build cannot be written.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from actd.engine.manifest import MANIFEST
from actd.errors import EngineError, UsageError, unwritable

_PREFIX = ".build-"


def publish(folder: Path, place: Path) -> None:
    """Move a finished engine into place, keeping the old one until the new one is there."""
    check_place(place)
    backup = folder.with_name(f"{folder.name}.old")
    try:
        if place.exists():
            place.rename(backup)
        folder.rename(place)
    except BaseException:
        if backup.exists() and not place.exists():
            backup.rename(place)
        raise


def check_place(place: Path) -> None:
    """Raise UsageError if `place` exists and is not an engine."""
    if place.exists() and not (place / MANIFEST).is_file():
        raise UsageError(f"{place}: in the way and not an engine; move it or choose another --out")


@contextlib.contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A temporary folder on the same disk as `out`; a new `out` that stays empty is removed too."""
    existed = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder, lock = _own_folder(out)
    except OSError as error:
        raise unwritable(out, error) from None
    try:
        yield folder
    except OSError as error:
        raise EngineError(
            f"{out}: not exported ({error}); fix that or choose another --out"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if not existed and not any(out.iterdir()):
            out.rmdir()


def _own_folder(out: Path) -> tuple[Path, int]:
    """A new folder in `out`, and the lock that this process holds on it while it lives."""
    with _locked(out, fcntl.LOCK_EX):
        for stale in out.glob(f"{_PREFIX}*"):  # left by killed exports
            with contextlib.suppress(OSError), _locked(stale, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(stale, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=out))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


@contextlib.contextmanager
def _locked(folder: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)
