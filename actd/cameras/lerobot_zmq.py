"""One camera of LeRobot's image server: JSON with JPEGs in base64, published over ZeroMQ.

    {"timestamps": {"top": 1764477600.1}, "images": {"top": "/9j/4AAQ..."}}

Only the named camera's images are taken, and each once: a server whose camera hangs goes on
publishing the last image with its old time stamp, which is no new frame. Frames are stamped on
arrival, as the server's clock is another computer's. LeRobot's server encodes red-green-blue as if
it were blue-green-red, which `swapped_colors` undoes. A server that is away, or silent, is a
CameraError within `timeout_s`.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from actd.cameras.address import reach_host
from actd.cameras.capture import Image
from actd.cameras.config import ZmqConfig
from actd.cameras.jpeg import JpegReader
from actd.cameras.source import label_of
from actd.errors import CameraError

# Ten cameras of 4K are less.
_MAX_BYTES = 64 << 20


class ZmqSource:
    """Images of `config.camera_name` from one server."""

    def __init__(self, name: str, config: ZmqConfig) -> None:
        self._config = config
        self._label = label_of(name, config)
        self._context: zmq.Context[Any] | None = None
        self._socket: zmq.Socket[bytes] | None = None
        self._jpeg = JpegReader()
        self._stamp: object = None
        self._damaged = 0
        # From LeRobot 0.6 on a message holds only the cameras that have a new image.
        self._names: set[str] = set()

    def open(self) -> Image:
        """Connect; returns the first image. Raises CameraError."""
        self.close()
        host, port = self._config.server_address, self._config.port
        reach_host(self._label, host, port, self._config.timeout_s)
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.SUB)
        self._socket.linger = 0
        self._socket.setsockopt(zmq.CONFLATE, 1)  # the newest message only
        self._socket.setsockopt(zmq.MAXMSGSIZE, _MAX_BYTES)
        self._socket.setsockopt(zmq.IPV6, int(":" in host))
        self._socket.subscribe(b"")
        self._socket.connect(f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}")
        return self.read()

    def read(self) -> Image:
        """The next image. Raises CameraError."""
        if self._socket is None:
            raise CameraError(f"{self._label}: read before it was opened; open it first")
        end_ns = time.monotonic_ns() + round(self._config.timeout_s * 1e9)
        cause = "no message"
        while (left_ns := end_ns - time.monotonic_ns()) > 0:
            if not self._socket.poll(max(1, left_ns // 1_000_000)):
                break
            message, t_ns = self._socket.recv(), time.monotonic_ns()
            try:
                bgr = self._image(message)
            except (_OtherContentError, ValueError) as error:
                self._damaged += isinstance(error, ValueError)
                cause = str(error) if isinstance(error, _OtherContentError) else "damaged messages"
                continue
            damaged, self._damaged = self._damaged, 0
            return Image(bgr, t_ns, damaged)
        raise CameraError(
            f"{self._label}: {cause} for {self._config.timeout_s:g} s; see that LeRobot's image "
            "server, or actd drive --cameras=robot, runs there and its camera delivers"
        )

    def close(self) -> None:
        """Disconnect. Safe to call twice."""
        if self._context is not None:
            self._context.destroy(linger=0)
        self._context = self._socket = None
        self._stamp = None
        self._names.clear()

    def _image(self, message: bytes) -> NDArray[np.uint8]:
        """The new image in a message. ValueError for damage, _OtherContentError for none."""
        try:
            content = json.loads(message)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        images = content.get("images") if isinstance(content, dict) else None
        if not isinstance(images, dict):
            raise ValueError("no images")
        name = self._name_among(images)
        stamps = content.get("timestamps")
        stamp = stamps.get(name) if isinstance(stamps, dict) else None
        if stamp is not None and stamp == self._stamp:
            raise _OtherContentError("the same image again and again")
        try:
            data = np.frombuffer(base64.b64decode(images[name], validate=True), np.uint8)
        except (TypeError, binascii.Error):
            raise ValueError("not base64") from None
        image = self._jpeg.read(data)
        if image is None:
            raise ValueError("not a whole JPEG")
        self._stamp = stamp
        return image[..., ::-1] if self._config.swapped_colors else image

    def _name_among(self, images: Mapping[str, Any]) -> str:
        self._names |= images.keys()
        name = self._config.camera_name
        if name is None and len(self._names) == 1:
            (name,) = self._names
        if name is None or name not in images:
            image = "one of several: set camera_name" if name is None else name
            there = " ".join(", ".join(sorted(self._names)).split())[:200] or "none"
            raise _OtherContentError(f"no image of {image}, its cameras are {there},")
        return name


class _OtherContentError(Exception):
    """A message that is right, without a new image of this camera."""
