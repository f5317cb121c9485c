"""The cache of what runtimes can make again: compiled models, plans, timings.

Owns `$CACHE_DIRECTORY` under systemd, else `$XDG_CACHE_HOME/actd`, else `~/.cache/actd`. The cache
is never necessary: a folder that cannot be written only costs time, and a modified file is
discarded.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from actd.files import read_json
from actd.hashing import sha256

_SEALS = "seals.json"
_MAX_FOLDERS = 8


def cache_root() -> Path:
    """The folder of all of actd's caches, whether or not it exists."""
    if folder := os.environ.get("CACHE_DIRECTORY"):
        return Path(folder.split(":")[0])
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "actd"


def cache_folder(kind: str, key: str) -> Path | None:
    """The cache folder of `key`, created if needed; None if it cannot be written.

    Only the most recently used folders of each kind are kept.
    """
    folder = cache_root() / kind / key
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    with contextlib.suppress(OSError):
        newest_first = sorted(
            folder.parent.iterdir(), key=lambda f: f.stat().st_mtime_ns, reverse=True
        )
        for old in newest_first[_MAX_FOLDERS:]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def seal(folder: Path) -> None:
    """Record the hash of every file in `folder`."""
    draft = folder / f"{_SEALS}.{os.getpid()}"
    with contextlib.suppress(OSError):  # another process may delete the folder meanwhile
        hashes = {file.name: sha256(file) for file in _files(folder)}
        draft.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")
        draft.replace(folder / _SEALS)


def discard_unsealed(folder: Path) -> None:
    """Remove every file whose hash differs from the recorded one."""
    try:
        hashes = read_json(folder / _SEALS)
    except (OSError, ValueError):
        hashes = {}
    with contextlib.suppress(OSError):
        for file in _files(folder):
            if not isinstance(hashes, dict) or hashes.get(file.name) != sha256(file):
                file.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return [f for f in folder.iterdir() if f.is_file() and not f.name.startswith(_SEALS)]
