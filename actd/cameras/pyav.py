"""A video file through PyAV, whose FFmpeg has decoders that OpenCV's may lack, such as AV1's.

Imports PyAV, which is an extra. A file that cannot be read gives no image.
"""

from __future__ import annotations

from typing import Any

import av
import cv2

av.logging.set_level(av.logging.PANIC)


class AvCapture:
    """The part of cv2.VideoCapture that a video file needs."""

    def __init__(self, path: str) -> None:
        self._container: Any = None
        self._images: Any = iter(())
        self._fps = 0.0
        try:
            self._container = av.open(path)
            stream = self._container.streams.video[0]
            stream.codec_context.thread_count = 1
            self._fps = float(stream.average_rate or 0)
            self._images = self._container.decode(stream)
        except (av.FFmpegError, IndexError):
            self.release()

    def get(self, prop: int) -> float:
        """Its frames per second; of nothing else it knows more than 0."""
        return self._fps if prop == cv2.CAP_PROP_FPS else 0.0

    def read(self) -> tuple[bool, Any]:
        """Whether there is a next image, and the image: (H, W, 3) blue-green-red."""
        try:
            return True, next(self._images).to_ndarray(format="bgr24")
        except (av.FFmpegError, StopIteration):
            return False, None

    def release(self) -> None:
        """Close the file."""
        if self._container is not None:
            self._container.close()
            self._container = None
