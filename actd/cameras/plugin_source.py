"""A camera whose images another package's class reads.

The class is made with width, height and fps, as the sensor should give them, and with the `options`
by name; its `read` gives an image, or an image and its capture time. What it raises, and an image
that is none, is a CameraError.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import cv2
import numpy as np

from actd.cameras.capture import Image
from actd.cameras.config import PluginConfig
from actd.cameras.plugins import load_plugin
from actd.cameras.source import label_of
from actd.errors import CameraError, one_line

log = logging.getLogger(__name__)

T = TypeVar("T")


class PluginSource:
    """Images from the class that the package of `config.type` brings."""

    def __init__(self, name: str, config: PluginConfig) -> None:
        self._label = label_of(name, config)
        self._warmup_s = config.warmup_s
        width, height = config.sensor_size
        arguments = {"width": width, "height": height, "fps": config.fps}
        plugin = load_plugin(self._label, config.type)
        self._camera: Any = self._call(lambda: plugin(**config.options, **arguments))

    def open(self) -> Image:
        """Connect, and let the exposure settle; returns an image. Raises CameraError."""
        self._call(self._camera.open)
        image = self.read()
        settled_ns = time.monotonic_ns() + int(self._warmup_s * 1e9)
        while time.monotonic_ns() < settled_ns:
            image = self.read()
        return image

    def read(self) -> Image:
        """The next image. Raises CameraError."""
        given = self._call(self._camera.read)
        now_ns = time.monotonic_ns()
        rgb, t_capture_ns = (
            given if isinstance(given, tuple) and len(given) == 2 else (given, now_ns)
        )
        if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8 or rgb.shape[2:] != (3,):
            shape = getattr(rgb, "shape", "")
            raise CameraError(
                f"{self._label}: read gave {type(rgb).__name__} {shape}; it must give an array of "
                "uint8 (height, width, 3), red first"
            )
        if not isinstance(t_capture_ns, int) or t_capture_ns > now_ns:
            raise CameraError(
                f"{self._label}: read gave the capture time {t_capture_ns!r:.40}; it must be of "
                "time.monotonic_ns()"
            )
        bgr: Any = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
        return Image(bgr, t_capture_ns)

    def close(self) -> None:
        """Disconnect. Safe to call twice; a failure is logged, as nothing depends on it."""
        try:
            self._call(self._camera.close)
        except CameraError as error:
            log.warning("%s", error)

    def _call(self, method: Callable[[], T]) -> T:
        try:
            return method()
        except CameraError:
            raise
        except Exception as error:
            raise CameraError(
                f"{self._label}: {type(error).__name__}: {one_line(error)}; see the "
                "documentation of the package that reads it"
            ) from error
