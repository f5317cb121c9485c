"""Finds the files that ship with actd: engine recipes, robots, configurations, systemd
units, documentation.

An installed actd has them inside the package (`actd/_data/<kind>`); a source
checkout has them at its top level. Raises ActdError when neither is there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from actd.errors import ActdError

Kind = Literal["configs", "docs", "engines", "robots", "systemd"]

_PACKAGE = Path(__file__).resolve().parent


def resource_dir(kind: Kind) -> Path:
    """The folder of one kind of shipped file."""
    for folder in (_PACKAGE / "_data" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise ActdError(f"{_PACKAGE}: no {kind} files in this installation; install actd again")
