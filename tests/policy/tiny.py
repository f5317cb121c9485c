"""The smallest checkpoint that is whole: three joints, one camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actd.policy.untrained import write_untrained


def write_tiny(folder: Path, **options: Any) -> Path:
    """Write it into `folder`; `options` as of write_untrained."""
    size = {"action_dim": 3, "state_dim": 3, "chunk_size": 8, "dim_model": 16, "n_heads": 2}
    layers = {"dim_feedforward": 16, "n_encoder_layers": 1}
    return write_untrained(folder, **{"cameras": {"top": (32, 48)}, **size, **layers, **options})
