"""Images for the daemon's cameras of `type: zmq`, published as LeRobot's image server does.

    {"timestamps": {"front": 1764477600.1}, "images": {"front": "/9j/4AAQ..."}}

Every message has the newest image of each camera, so that a reader that keeps only the newest
message misses none. Like LeRobot's, it gives red-green-blue to an encoder that takes it for
blue-green-red: that is what readers of such servers expect.
"""

from __future__ import annotations

import base64
import importlib
import json
import threading
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import zmq

from actd.errors import UsageError
from actd.link import sockets

# LeRobot's server takes 80; a policy sees the difference, and a local network does not.
_QUALITY = 90
# A camera that gives no more images is left out, or who connects anew would take its last for new.
_KEPT_NS = 1_000_000_000
_CLOSE_S = 1.0


class _Taken(NamedTuple):
    """When: by the wall clock, as LeRobot's server says it, and by one that never jumps."""

    wall_s: float
    ns: int


class _Jpeg(NamedTuple):
    text: str
    taken: _Taken


class ImageServer:
    """Encodes and sends in a thread of its own: neither a bus nor a camera waits for that."""

    def __init__(self, host: str, port: int) -> None:
        """Listen. Raises LinkError where that fails, UsageError where there is no OpenCV."""
        try:
            self._cv2: Any = importlib.import_module("cv2")
        except ImportError:
            raise UsageError(
                "--cameras=robot: OpenCV encodes the images and is not installed here; "
                "pip install opencv-python-headless"
            ) from None
        self._context: zmq.Context[Any] = zmq.Context()
        try:
            self._socket = sockets.publisher(
                self._context, sockets.endpoint(host, port), "give another --image-server"
            )
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._waiting: dict[str, tuple[Any, _Taken]] = {}
        self._newest: dict[str, _Jpeg] = {}
        self._over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._serve, daemon=True, name="images")
        self._thread.start()

    def put(self, camera: str, rgb: Any) -> None:
        """Publish an image soon: an array, uint8, (height, width, 3). A newer one replaces it.

        Raises ValueError for what is no such image.
        """
        shape: tuple[int, ...] = getattr(rgb, "shape", ())
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        if len(shape) != 3 or shape[2] != 3 or kind != "uint8" or 0 in shape:
            raise ValueError(f"an image of {kind}, {shape}; uint8, (height, width, 3) is needed")
        taken = _Taken(time.time(), time.monotonic_ns())  # noqa: TID251  LeRobot's stamp
        with self._changed:
            self._waiting[camera] = (rgb.copy(), taken)  # the driver may write to it again
            self._changed.notify()

    def close(self) -> None:
        """Publish nothing more. Safe to call twice."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join(_CLOSE_S)

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._over)
                waiting, self._waiting = self._waiting, {}
            if self._over:
                break
            for camera, (rgb, taken) in waiting.items():
                how = [self._cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
                _, jpeg = self._cv2.imencode(".jpg", rgb, how)
                self._newest[camera] = _Jpeg(base64.b64encode(jpeg).decode(), taken)
            self._socket.send(_message(self._newest, time.monotonic_ns() - _KEPT_NS))
        self._context.destroy(linger=0)


def _message(newest: Mapping[str, _Jpeg], since_ns: int) -> bytes:
    fresh = {camera: jpeg for camera, jpeg in newest.items() if jpeg.taken.ns >= since_ns}
    stamps = {camera: jpeg.taken.wall_s for camera, jpeg in fresh.items()}
    images = {camera: jpeg.text for camera, jpeg in fresh.items()}
    return json.dumps({"timestamps": stamps, "images": images}).encode()
