"""A network camera: RTSP, or MJPEG over HTTP, through OpenCV's FFmpeg.

Gives the newest image, stamped when it arrived: the network tells no capture time. A server
that is away, refuses, is silent, or stops, is a CameraError within `timeout_s` (thrice that when
opening), never a hang; opening again connects again.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import cv2

from actd.cameras.address import reach_host
from actd.cameras.capture import Capture, Image, LatestImage, grabbed_now
from actd.cameras.config import OpenCVConfig
from actd.errors import CameraError

_PORTS = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_MJPG = cv2.VideoWriter.fourcc(*"MJPG")
_CLOSE_S = 0.5


class StreamSource:
    """Images from `config.path`, a URL."""

    def __init__(self, name: str, config: OpenCVConfig) -> None:
        self._config = config
        self._label = f"camera {name} ({config.path})"
        self._latest: LatestImage | None = None

    def open(self) -> Image:
        """Connect; returns the first image. Raises CameraError."""
        self.close()
        remedy = "see that its server runs, or raise timeout_s"
        self._latest = LatestImage(self._connect, grabbed_now, label=self._label, remedy=remedy)
        # Reaching the host, opening the stream, and the first image may each take the time-out.
        return self._latest.take(3 * self._config.timeout_s)

    def read(self) -> Image:
        """The newest image not yet read. Raises CameraError."""
        if self._latest is None:
            raise CameraError(f"{self._label}: read before it was opened; open it first")
        return self._latest.take(self._config.timeout_s)

    def close(self) -> None:
        """Disconnect; a server that hangs is left to its thread, nothing waits for it."""
        if self._latest is not None:
            self._latest.stop(_CLOSE_S)
            self._latest = None

    def _connect(self) -> Capture:
        url = urlsplit(self._config.path)
        port = url.port or _PORTS[url.scheme]
        reach_host(self._label, url.hostname or "", port, self._config.timeout_s)
        timeout_ms = int(self._config.timeout_s * 1000)
        parameters = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, timeout_ms),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, timeout_ms),
            *(cv2.CAP_PROP_N_THREADS, 1),  # more would decode frames in parallel, a frame late
        ]
        capture: Capture = cv2.VideoCapture(self._config.path, cv2.CAP_FFMPEG, parameters)
        if not capture.isOpened():
            raise CameraError(
                f"{self._label}: the server answers, but not with a video that can be read; see "
                "that path, user and password are right, and try the URL in a browser or with "
                "ffplay"
            )
        if capture.get(cv2.CAP_PROP_FOURCC) == _MJPG:
            capture.set(cv2.CAP_PROP_FORMAT, -1)  # each JPEG as it came, whole or not
        return capture
