"""The one table from a camera's `type` to the code that reads it.

A new type is a new file, a class in `config`, and a line here. Its module, and with it its
library, is imported only when such a camera is made. What the table lacks a plugin reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig

SOURCES: Mapping[str, str] = {
    "opencv": "actd.cameras.opencv:opencv_source",
    "intelrealsense": "actd.cameras.realsense:RealSenseSource",
    "zmq": "actd.cameras.lerobot_zmq:ZmqSource",
}
_PLUGIN = "actd.cameras.plugin_source:PluginSource"


def make_camera(name: str, config: CameraConfig) -> Camera:
    """The camera that `config` describes, not yet open. `name` is how messages call it.

    Raises CameraError where what reads it is missing, or refuses its options.
    """
    from actd.cameras.source import SourceCamera

    module, _, attribute = SOURCES.get(config.type, _PLUGIN).partition(":")
    source = getattr(import_module(module), attribute)
    return SourceCamera(name, config, source(name, config))
