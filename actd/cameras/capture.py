"""The newest image of a live source, fetched by a thread of its own.

Owns the thread and the OpenCV capture in it. A live source is read as fast as it delivers, so
what waits is always the newest image and latency cannot grow; what the caller was too slow for
is gone. A source that hangs costs the caller its timeout and no more. An image that came damaged
is left out and counted; when the source ends or fails, the next wait raises the CameraError.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from actd.cameras.jpeg import JpegReader
from actd.errors import CameraError, one_line

# OpenCV reports a damaged image and the end of a stream alike; only the end repeats itself.
_GRAB_ATTEMPTS = 3


class Image(NamedTuple):
    """As OpenCV gives it: (H, W, 3) blue-green-red, with its capture time (CLOCK_MONOTONIC).

    `damaged` counts the images since the one taken before that came damaged.
    """

    bgr: NDArray[np.uint8]
    t_capture_ns: int
    damaged: int = 0


class Capture(Protocol):
    """The part of cv2.VideoCapture that is used here.

    `retrieve` gives an image, or where JPEGs were asked for as they come, the bytes of one: (1, n).
    """

    def grab(self) -> bool: ...
    def retrieve(self) -> tuple[bool, Any]: ...
    def get(self, prop: int, /) -> float: ...
    def set(self, prop: int, value: float, /) -> bool: ...
    def isOpened(self) -> bool: ...  # noqa: N802 (the name is OpenCV's)
    def release(self) -> None: ...


class LatestImage:
    """Runs `connect` and then reads the capture it gives, keeping the newest image.

    `stamp` gives an image's capture time, called just after it was grabbed. `label` begins every
    error, `remedy` ends those of a source that delivers no more. One instance is one connection.
    """

    def __init__(
        self,
        connect: Callable[[], Capture],
        stamp: Callable[[Capture], int],
        *,
        label: str,
        remedy: str,
    ) -> None:
        self._connect = connect
        self._stamp = stamp
        self._label = label
        self._remedy = remedy
        self._changed = threading.Condition()
        self._newest: Image | None = None
        self._jpeg = JpegReader()
        self._damaged = 0
        self._error: CameraError | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="camera-capture", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Image:
        """The newest image not yet taken, waiting for it at most `timeout_s`.

        Raises CameraError when the source ended or failed, or nothing came in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._error, timeout_s)
            image, self._newest = self._newest, None
            if image is not None:
                damaged, self._damaged = self._damaged, 0
                return image._replace(damaged=damaged)
            raise self._error or self._stopped(self._nothing_for(timeout_s))

    def stop(self, timeout_s: float) -> None:
        """Let the thread release the capture, waiting for that at most `timeout_s`."""
        self._stopping = True
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            capture = self._connect()
            try:
                self._read(capture)
            finally:
                capture.release()
        except CameraError as error:
            self._fail(error)
        except (OSError, cv2.error) as error:
            self._fail(self._stopped(f"OpenCV failed ({one_line(error)})"))

    def _read(self, capture: Capture) -> None:
        failures = 0
        while not self._stopping:
            if not capture.grab():
                failures += 1
                if failures == _GRAB_ATTEMPTS:
                    raise self._stopped("stopped delivering")
                continue
            failures = 0
            t_capture_ns = self._stamp(capture)
            decoded, data = capture.retrieve()
            bgr = self._image(data) if decoded else None
            with self._changed:
                if bgr is None:
                    self._damaged += 1
                else:
                    self._newest = Image(bgr, t_capture_ns)
                    self._changed.notify()

    def _image(self, data: Any) -> NDArray[np.uint8] | None:
        """`data` as an image, or None for one that is damaged."""
        is_file = data is not None and data.ndim == 2 and data.shape[0] == 1
        return self._jpeg.read(data) if is_file else data

    def _nothing_for(self, timeout_s: float) -> str:
        damaged = f" but {self._damaged} that came damaged" if self._damaged else ""
        return f"no image for {timeout_s:g} s{damaged}"

    def _stopped(self, problem: str) -> CameraError:
        return CameraError(f"{self._label}: {problem}; {self._remedy}")

    def _fail(self, error: CameraError) -> None:
        with self._changed:
            self._error = error
            self._changed.notify()


def grabbed_now(_: Capture) -> int:
    """The capture time of a source that tells none: now."""
    return time.monotonic_ns()
