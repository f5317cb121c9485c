"""A camera that sees it grow bright and dark again, every two seconds."""

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from lerobot.cameras import Camera, CameraConfig


@CameraConfig.register_subclass("swaying")
@dataclass
class SwayingCameraConfig(CameraConfig):
    """`mishap`: a file; while it is there the camera gives nothing and cannot be opened."""

    mishap: Path = Path("camera_mishap")


class SwayingCamera(Camera):
    def __init__(self, config):
        super().__init__(config)
        self.config = config
        self._connected = False
        self._last = 0

    @property
    def is_connected(self):
        return self._connected

    @staticmethod
    def find_cameras():
        return []

    def connect(self, warmup=True):
        if self.config.mishap.exists():
            raise ConnectionError("Failed to open the swaying camera")
        self._connected = True

    def read(self):
        return self.async_read()

    def async_read(self, timeout_ms=200):
        end_s = time.monotonic() + timeout_ms / 1000
        while (number := int(time.monotonic() * self.fps)) == self._last or (
            self.config.mishap.exists()
        ):
            if time.monotonic() > end_s:
                raise TimeoutError("no image of the swaying camera")
            time.sleep(0.002)
        self._last = number
        level = 127 + 90 * math.sin(math.pi * number / self.fps)
        return np.full((self.height, self.width, 3), int(level), np.uint8)

    def disconnect(self):
        self._connected = False
