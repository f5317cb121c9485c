"""Where actd keeps what outlives a run."""

from __future__ import annotations

import os
from pathlib import Path


def state_folder() -> Path:
    """`$STATE_DIRECTORY` under systemd, else `$XDG_STATE_HOME/actd`, else `~/.local/state/actd`."""
    if granted := os.environ.get("STATE_DIRECTORY"):
        return Path(granted.split(":")[0])
    home = os.environ.get("XDG_STATE_HOME")
    return (Path(home) if home else Path.home() / ".local" / "state") / "actd"
