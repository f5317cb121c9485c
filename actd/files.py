"""Reading files that others wrote: regular ones only, so that no pipe and no device can hang us.

Raises OSError for what cannot be read and ValueError for what is not text or not JSON, however
it is damaged, and nothing else.
"""

from __future__ import annotations

import errno
import json
import stat
from pathlib import Path
from typing import Any, BinaryIO

_MAX_BYTES = 256 << 20


def open_file(path: Path) -> BinaryIO:
    """A regular file, for reading. A pipe, a device or a folder is an OSError."""
    try:
        mode = path.stat().st_mode
    except ValueError:  # a name with a null byte, or that is no text
        raise FileNotFoundError(errno.ENOENT, "not the name of a file", str(path)) from None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a folder, not a file", str(path))
    if not stat.S_ISREG(mode):  # opening a pipe waits for a writer, a device may never end
        raise OSError(errno.EINVAL, "a pipe or a device, not a file", str(path))
    return path.open("rb")


def check_file(path: Path) -> None:
    """Raise OSError for what `open_file` would not open, before a library opens it."""
    open_file(path).close()


def read_text(path: Path, errors: str = "strict", max_bytes: int = _MAX_BYTES) -> str:
    """A whole file as UTF-8; `errors` as in `bytes.decode`."""
    with open_file(path) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise ValueError(f"larger than {max_bytes >> 20} MiB")
    return data.decode("utf-8", errors)


def read_json(path: Path) -> Any:
    """A whole file as JSON."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """What a JSON text says."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
