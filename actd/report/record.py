"""Files that are known as actd's own, and figures as such files, in JSON.

Only files that actd wrote are replaced; any other file in the way is a UsageError that names it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actd.errors import UsageError, unwritable


@dataclass(frozen=True, slots=True)
class OwnFile:
    """Files written by `writer`, such as `actd eval`; `mark` is near the start of each, and their
    names end in `suffix`.
    """

    writer: str
    mark: str
    suffix: str = ""

    def is_at(self, path: Path) -> bool:
        """Whether such a file is there. Raises OSError."""
        return path.is_file() and self.mark in path.read_text("utf-8", errors="replace")[:400]

    def check_place(self, path: Path, option: str = "--out") -> None:
        """Raise UsageError, naming `option`, when anything else is where such a file is to go, or
        its name is another file's.
        """
        if path.suffix != self.suffix != "":
            raise UsageError(f"{option}: found {path}; give a name that ends in {self.suffix}")
        try:
            free = not path.exists() or self.is_at(path)
        except OSError as error:
            raise unwritable(path, error, f"choose another {option}") from None
        if not free:
            raise UsageError(
                f"{path}: exists and was not written by {self.writer}; choose another {option}"
            )

    def write(self, text: str, path: Path, option: str = "--out") -> None:
        """Write such a file; an older one in its place is replaced.

        Raises as `check_place`, and ActdError where the disk is full.
        """
        self.check_place(path, option)
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error, f"choose another {option}") from None


def plain(value: Any) -> Any:
    """Nested mappings, sequences, arrays and numbers as JSON data; None for non-finite numbers."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def json_file(kind: str) -> OwnFile:
    """The files that `save_json` writes for `kind`, such as `actd eval`."""
    return OwnFile(kind, f'"written_by": "{kind}"')


def save_json(content: Mapping[str, Any], path: Path, kind: str) -> None:
    """Write `content` as a `json_file`. Raises UsageError."""
    text = json.dumps({"written_by": kind, **plain(content)}, indent=1, ensure_ascii=False)
    json_file(kind).write(text + "\n", path)
