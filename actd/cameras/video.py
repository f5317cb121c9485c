"""A video file that behaves as a camera: paced in real time, looping if asked.

Images come at absolute deadlines, at the file's rate or the configured one, every image once
and in order; a reader that is late makes the file late, never a burst. The capture time is when
the image was due. What OpenCV cannot decode PyAV does, where it is installed: a dataset's own
videos are AV1. The end of a file that does not loop is a CameraError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from actd.cameras.capture import Image
from actd.cameras.config import OpenCVConfig
from actd.errors import CameraError


class Decoder(Protocol):
    """The part of cv2.VideoCapture that is used here."""

    def get(self, prop: int, /) -> float: ...
    def read(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


class VideoSource:
    """Images from `config.path`, a file that OpenCV or PyAV can read."""

    def __init__(self, name: str, config: OpenCVConfig) -> None:
        self._config = config
        self._label = f"camera {name} ({config.path})"
        self._decoder: Callable[[str], Decoder] = cv2.VideoCapture
        self._capture: Decoder | None = None
        self._period_ns = 0
        self._due_ns = 0

    def open(self) -> Image:
        """Prove that the first image can be decoded, and rewind. Raises CameraError."""
        first, fps = self._choose_decoder()
        fps = self._config.fps or fps
        if not 0 < fps <= 1000:
            raise CameraError(f"{self._label}: found a rate of {fps:g} per second; set fps")
        self._period_ns = round(1e9 / fps)
        self._rewind()
        return Image(first, time.monotonic_ns())

    def read(self) -> Image:
        """The next image, when it is due. Raises CameraError at the end of the file."""
        bgr = self._decode()
        if bgr is None:
            if not self._config.loop:
                raise CameraError(f"{self._label}: ended; set loop: true to play it again")
            self._rewind()
            bgr = self._decode()
        if bgr is None:
            raise CameraError(f"{self._label}: can no longer be read; see that the file is whole")
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
            raise CameraError(f"{self._label}: read before it was opened; open it first")
        decoded, bgr = self._capture.read()
        return bgr if decoded else None

    def _choose_decoder(self) -> tuple[NDArray[np.uint8], float]:
        """The first image and the file's rate, by the first decoder that gives one."""
        codec = 0
        for decoder in _decoders():
            self._decoder = decoder
            capture = self._rewind()
            first = self._decode()
            if first is not None:
                return first, capture.get(cv2.CAP_PROP_FPS)
            codec = max(codec, int(capture.get(cv2.CAP_PROP_FOURCC)))
        name = codec.to_bytes(4, "little").decode("ascii", "replace").strip("\0")
        raise CameraError(
            f"{self._label}: its codec is {name}, which nothing here decodes; install PyAV "
            f"(pip install 'actd[record]'), or convert it (ffmpeg -i {self._config.path} -c:v "
            "libx264 OUT.mp4)"
            if codec
            else f"{self._label}: is no video that OpenCV can read; convert it to mp4"
        )

    def _rewind(self) -> Decoder:
        """Opening again is the one rewind that every codec and image sequence can do."""
        self.close()
        path = Path(self._config.path)
        try:
            is_there = "%" in path.name or path.is_file()
        except OSError:  # longer than a name can be, or in a folder that is not ours
            is_there = False
        if not is_there:
            raise CameraError(
                f"{self._label}: no such file; correct index_or_path (it is looked for from "
                f"{Path.cwd()})"
            )
        self._capture = self._decoder(str(path))
        return self._capture


def _decoders() -> Iterator[Callable[[str], Decoder]]:
    yield cv2.VideoCapture
    try:
        from actd.cameras.pyav import AvCapture
    except ImportError:
        return
    yield AvCapture
