"""Figures as JSON files that are known as actd's own.

Only what actd wrote before is replaced; any other file in the way is a UsageError that names it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from actd.errors import UsageError


def plain(value: Any) -> Any:
    """JSON data of nested mappings, sequences, arrays and numbers; None for what is not finite."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def save_json(content: Mapping[str, Any], path: Path, kind: str) -> None:
    """Write `content`, marked as a file of `kind`, such as `actd eval`. Raises UsageError."""
    text = json.dumps({"written_by": kind, **plain(content)}, indent=1, ensure_ascii=False)
    check_place(path, kind)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}): choose --out") from None


def check_place(path: Path, kind: str) -> None:
    """Raise UsageError when something that is not of `kind` is where such a file is to go."""
    if path.exists() and not is_ours(path, kind):
        raise UsageError(f"{path}: exists and is not of {kind}: choose another --out")


def is_ours(path: Path, kind: str) -> bool:
    """Whether the file is JSON that `save_json` wrote for `kind`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("written_by") == kind
