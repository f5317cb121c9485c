"""The one table from a camera's `type` to the code that reads it.

A new kind is a new file and a line here. The kind's module, and with it the kind's library, is
imported only when such a camera is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig

KINDS: Mapping[str, str] = {
    "opencv": "actd.cameras.opencv:OpenCVCamera",
}


def make_camera(name: str, config: CameraConfig) -> Camera:
    """The camera that `config` describes, not yet open. `name` is how messages call it."""
    module, _, attribute = KINDS[config.type].partition(":")
    camera: Camera = getattr(import_module(module), attribute)(name, config)
    return camera
