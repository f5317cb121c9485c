"""Engine folders with another manifest, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actd.engine.manifest import MANIFEST
from actd.errors import EngineError


def change(folder: Path, **values: Any) -> None:
    """Give the manifest other values."""
    file = folder / MANIFEST
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def refused(call: Callable[[], object]) -> str:
    """The one line of the EngineError that the call raises."""
    with pytest.raises(EngineError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)
