"""Builds in a folder beside the goal and moves the result there whole.

Owns the promise that a failed or interrupted build changes nothing: the engine in
place is replaced only by a finished one. Raises EngineError when a folder cannot be
written or something that is not an engine stands in the way.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from actd.engine.manifest import MANIFEST
from actd.errors import EngineError


def publish(built: Path, place: Path) -> None:
    """Put a finished engine in its place, keeping the old one until the new one is there."""
    if place.exists() and not (place / MANIFEST).is_file():
        raise EngineError(f"{place}: in the way and not an engine; move it or choose another --out")
    old = built.with_name(f"{built.name}.old")
    if place.exists():
        place.rename(old)
    try:
        built.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise


@contextlib.contextmanager
def scratch_folder(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone afterwards; so is `out` if nothing came of it."""
    existed = out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".build-", dir=out))
    except OSError as error:
        raise EngineError(
            f"{out}: cannot be written ({error.strerror}); choose another --out"
        ) from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not existed and not any(out.iterdir()):
            out.rmdir()
