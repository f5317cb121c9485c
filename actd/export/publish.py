"""Builds in a folder beside the goal and moves the result there whole.

Owns the promise that a failed or interrupted build changes nothing: the engine in
place is replaced only by a finished one. Raises EngineError when a folder cannot be
written or something that is not an engine stands in the way.
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
from actd.errors import EngineError

_PREFIX = ".build-"


def publish(built: Path, place: Path) -> None:
    """Put a finished engine in its place, keeping the old one until the new one is there."""
    check_place(place)
    old = built.with_name(f"{built.name}.old")
    try:
        if place.exists():
            place.rename(old)
        built.rename(place)
    except BaseException:
        if old.exists() and not place.exists():
            old.rename(place)
        raise


def check_place(place: Path) -> None:
    """Raise EngineError when something that is not an engine is where one is to go."""
    if place.exists() and not (place / MANIFEST).is_file():
        raise EngineError(f"{place}: in the way and not an engine; move it or choose another --out")


@contextlib.contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone afterwards; so is `out` if nothing came of it."""
    existed = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder, lock = _own_folder(out)
    except OSError as error:
        raise EngineError(
            f"{out}: cannot be written ({error.strerror}); choose another --out"
        ) from None
    try:
        yield folder
    except OSError as error:
        raise EngineError(
            f"{out}: not exported ({error}); mend that or choose another --out"
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if not existed and not any(out.iterdir()):
            out.rmdir()


def _own_folder(out: Path) -> tuple[Path, int]:
    """A new folder in `out`, and the lock on it that its process holds as long as it lives."""
    with _locked(out, fcntl.LOCK_EX):
        for left in out.glob(f"{_PREFIX}*"):  # by exports that were killed
            with contextlib.suppress(OSError), _locked(left, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(left, ignore_errors=True)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=out))
        lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
