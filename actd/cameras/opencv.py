"""What OpenCV can read: a V4L2 device, a video file, or an RTSP or MJPEG URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actd.cameras.config import OpenCVConfig, SourceKind
from actd.cameras.device import DeviceSource
from actd.cameras.source import Source
from actd.cameras.stream import StreamSource
from actd.cameras.video import VideoSource

_SOURCES: Mapping[SourceKind, Callable[[str, OpenCVConfig], Source]] = {
    "device": DeviceSource,
    "file": VideoSource,
    "url": StreamSource,
}


def opencv_source(name: str, config: OpenCVConfig) -> Source:
    """The source that `config.index_or_path` names, not yet open."""
    return _SOURCES[config.kind](name, config)
