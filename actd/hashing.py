"""The one way in which files are hashed. Raises OSError."""

from __future__ import annotations

import hashlib
from pathlib import Path

from actd.files import open_file

_BLOCK_BYTES = 1 << 20


def sha256(file: Path) -> str:
    """The hex SHA-256 of a file's contents."""
    digest = hashlib.sha256()
    with open_file(file) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
