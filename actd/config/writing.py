"""What `actd` writes into a deployment file, as YAML reads it back. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from actd.cameras.config import CameraConfig

# What YAML takes for something else than text.
_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


def plain(text: str) -> str:
    """A text as YAML reads it: quoted where it would be something else."""
    usual = re.fullmatch(r"[A-Za-z_/][\w./-]*", text) and text.lower() not in _WORDS
    return text if usual else json.dumps(text, ensure_ascii=False)


def camera_line(name: str, camera: CameraConfig) -> str:
    """A camera's line in the section `cameras`: its type, and what differs from the defaults."""
    given = camera.model_dump(mode="json", exclude_defaults=True)
    own = {key: value for key, value in given.items() if key not in CameraConfig.model_fields}
    return f"  {plain(name)}: {_inline({'type': camera.type, **own, **given})}"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return (
            "{" + ", ".join(f"{plain(key)}: {_inline(item)}" for key, item in value.items()) + "}"
        )
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return f"{value:.10g}" if isinstance(value, float) else json.dumps(value)
