"""A network camera whose images, rate and presence a test decides."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from functools import cache

import cv2
import numpy as np

from actd.sim.mjpeg import MjpegServer
from tests.faults.engine import HEIGHT, WELL, WIDTH

Show = Callable[[int], bytes | None]
"""From the number of the image to its JPEG; None: none is sent."""

_RATE_HZ = 30
_NAME = "cam_low"


@cache
def jpeg(level: int, height: int = HEIGHT, width: int = WIDTH) -> bytes:
    """A grey image."""
    done, data = cv2.imencode(".jpg", np.full((height, width, 3), level, np.uint8))
    if not done:
        raise RuntimeError("OpenCV could not encode an image")
    return data.tobytes()


def lively(level: int = WELL) -> Show:
    """Images about one grey level, no two in a row alike."""
    return lambda number: jpeg(level + number % 3)


class Webcam:
    """Serves what `show` gives, 30 times a second, until closed."""

    def __init__(self) -> None:
        self.show: Show = lively()
        self._over = threading.Event()
        self._server: MjpegServer | None = MjpegServer()
        self._port = self._server.port
        self._thread = threading.Thread(target=self._publish, daemon=True, name="webcam")
        self._thread.start()

    @property
    def url(self) -> str:
        """Where its stream is, plugged in or not."""
        return f"http://127.0.0.1:{self._port}/{_NAME}"

    def unplug(self) -> None:
        """Close the port and every stream."""
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def replug(self) -> None:
        """Serve again at the same address."""
        if self._server is None:
            self._server = MjpegServer(port=self._port)

    def close(self) -> None:
        """End for good."""
        self._over.set()
        self._thread.join()
        self.unplug()

    def _publish(self) -> None:
        begun_s = time.monotonic()
        for number in itertools.count():
            if self._over.wait(max(0.0, begun_s + number / _RATE_HZ - time.monotonic())):
                return
            image, server = self.show(number), self._server
            if image is not None and server is not None:
                server.publish(_NAME, image)
