"""A video file that behaves as a camera: paced in real time, looping if asked.

Images come at absolute deadlines, at the file's rate or the configured one, every image once
and in order; a reader that is late makes the file late, never a burst. The capture time is when
the image was due. The end of a file that does not loop is a CameraError.
"""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from actd.cameras.capture import Capture, Image
from actd.cameras.config import CameraConfig
from actd.errors import CameraError


class VideoSource:
    """Images from `config.path`, a file that OpenCV can read."""

    def __init__(self, name: str, config: CameraConfig) -> None:
        self._config = config
        self._label = f"camera {name} ({config.path})"
        self._capture: Capture | None = None
        self._period_ns = 0
        self._due_ns = 0

    def open(self) -> Image:
        """Prove that the first image can be decoded, and rewind. Raises CameraError."""
        self.close()
        self._capture = capture = self._connect()
        fps = self._config.fps or capture.get(cv2.CAP_PROP_FPS)
        if not 0 < fps <= 1000:
            raise CameraError(f"{self._label}: found a rate of {fps:g} per second: set fps")
        self._period_ns = round(1e9 / fps)
        first = self._decode()
        if first is None:
            raise CameraError(f"{self._label}: found no image in it: give a playable video")
        self._rewind()
        return Image(first, time.monotonic_ns())

    def read(self) -> Image:
        """The next image, when it is due. Raises CameraError at the end of the file."""
        bgr = self._decode()
        if bgr is None:
            if not self._config.loop:
                raise CameraError(f"{self._label}: ended: set loop: true to play it again")
            self._rewind()
            bgr = self._decode()
        if bgr is None:
            raise CameraError(f"{self._label}: can no longer be read: see that the file is whole")
        return Image(bgr, self._wait_until_due())

    def close(self) -> None:
        """Release the file. Safe to call twice."""
        if self._capture is not None:
            self._capture.release()
            self._capture = None

    def _wait_until_due(self) -> int:
        now_ns = time.monotonic_ns()
        self._due_ns += self._period_ns
        if self._due_ns < now_ns - self._period_ns:
            self._due_ns = now_ns
        time.sleep(max(self._due_ns - now_ns, 0) / 1e9)
        return self._due_ns

    def _decode(self) -> NDArray[np.uint8] | None:
        """The next image, or None at the end."""
        if self._capture is None:
            raise CameraError(f"{self._label}: read before it was opened: open it first")
        decoded, bgr = self._capture.read()
        return bgr if decoded else None

    def _rewind(self) -> None:
        """Opening again is the one rewind that every codec and image sequence can do."""
        if self._capture is not None:
            self._capture.release()
        self._capture = self._connect()

    def _connect(self) -> Capture:
        path = Path(self._config.path)
        if "%" not in path.name and not path.is_file():
            raise CameraError(
                f"{self._label}: no such file: correct index_or_path (it is looked for from "
                f"{Path.cwd()})"
            )
        capture: Capture = cv2.VideoCapture(str(path))
        if not capture.isOpened():
            raise CameraError(f"{self._label}: is no video that OpenCV can read: convert it to mp4")
        return capture
