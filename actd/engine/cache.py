"""Where runtimes keep what they can make again: compiled models, plans, timings.

Owns `$CACHE_DIRECTORY` under systemd, else `$XDG_CACHE_HOME/actd`, else `~/.cache/actd`. What is
kept there is never needed: a folder that cannot be written costs time and nothing else, and a
file that is not as it was written is thrown away.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from actd.hashing import sha256

_SEALS = "seals.json"
_KEPT = 8


def cache_root() -> Path:
    """The folder of all of actd's caches, whether or not it is there."""
    if granted := os.environ.get("CACHE_DIRECTORY"):
        return Path(granted.split(":")[0])
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "actd"


def cache_folder(kind: str, key: str) -> Path | None:
    """A folder for what belongs to `key`, made if need be; None where nothing can be written.

    Of each kind the most recently used few are kept.
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
        for old in newest_first[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def seal(folder: Path) -> None:
    """Write down the hash of every file in `folder`."""
    new = folder / f"{_SEALS}.{os.getpid()}"
    with contextlib.suppress(OSError):  # another process may throw the folder away meanwhile
        hashes = {file.name: sha256(file) for file in _files(folder)}
        new.write_text(json.dumps(hashes, indent=2) + "\n", encoding="utf-8")
        new.replace(folder / _SEALS)


def discard_unsealed(folder: Path) -> None:
    """Remove every file whose hash is not the one that was written down."""
    try:
        sealed = json.loads((folder / _SEALS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        sealed = {}
    with contextlib.suppress(OSError):
        for file in _files(folder):
            if not isinstance(sealed, dict) or sealed.get(file.name) != sha256(file):
                file.unlink(missing_ok=True)


def _files(folder: Path) -> list[Path]:
    return [f for f in folder.iterdir() if f.is_file() and not f.name.startswith(_SEALS)]
