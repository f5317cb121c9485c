"""One camera of any type: the images of its source, finished alike.

Owns what all sources share: the image is proved to have the asked size, turned upright, scaled
if asked, put in the asked colour order, and numbered. Where images come from is the business
of the type's own module. Every failure is a CameraError that names the camera.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from actd.cameras.base import Frame
from actd.cameras.capture import Image
from actd.cameras.config import CameraConfig
from actd.errors import CameraError

_ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
    -90: cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class Source(Protocol):
    """Where images come from. All methods but `close` raise CameraError."""

    def open(self) -> Image:
        """Connect; returns a first image as proof, which is not part of what `read` gives."""
        ...

    def read(self) -> Image:
        """The next image, blocking until it comes."""
        ...

    def close(self) -> None:
        """Disconnect. Safe to call twice, and before `open`."""
        ...


class SourceCamera:
    """One camera; see `actd.cameras.base.Camera` for the contract."""

    def __init__(self, name: str, config: CameraConfig, source: Source) -> None:
        self._label = label_of(name, config)
        self._config = config
        self._source = source
        self._seq = 0

    def open(self) -> None:
        """Connect and prove that one frame of the asked size arrives. Raises CameraError."""
        cv2.setNumThreads(1)
        try:
            self._finish(self._source.open())
        except CameraError:
            self.close()
            raise

    def read(self) -> Frame:
        """The next frame: uint8 (H, W, 3), contiguous and owned by the caller.

        Raises CameraError when the source ended, broke, or changed its size.
        """
        image = self._source.read()
        data = self._finish(image)
        self._seq += 1
        return Frame(data, image.t_capture_ns, self._seq, image.damaged)

    def close(self) -> None:
        """Release the source. Safe to call twice."""
        self._source.close()

    def _finish(self, image: Image) -> NDArray[np.uint8]:
        config = self._config
        data: Any = image.bgr
        if data.dtype != np.uint8 or data.ndim != 3 or data.shape[2] != 3:
            raise CameraError(
                f"{self._label}: found a {data.dtype} image of shape {data.shape}, not 8-bit "
                "colour; choose another fourcc, such as MJPG"
            )
        if config.rotation:
            data = cv2.rotate(data, _ROTATIONS[config.rotation])
        self._check_size(data.shape[1], data.shape[0])
        if config.resize is not None and (data.shape[1], data.shape[0]) != config.resize:
            data = cv2.resize(data, config.resize, interpolation=cv2.INTER_AREA)
        if config.color_mode == "rgb":
            data = cv2.cvtColor(data, cv2.COLOR_BGR2RGB)
        frame: NDArray[np.uint8] = np.ascontiguousarray(data)
        return frame

    def _check_size(self, width: int, height: int) -> None:
        size = (self._config.width or width, self._config.height or height)
        if size != (width, height):
            raise CameraError(
                f"{self._label}: asked {size[0]}x{size[1]}, got {width}x{height}; set width and "
                f"height to {width} and {height}, and resize to [{size[0]}, {size[1]}] if the "
                "policy needs that size"
            )


def label_of(name: str, config: CameraConfig) -> str:
    """How every message calls a camera."""
    return f"camera {name} ({config.path})"
