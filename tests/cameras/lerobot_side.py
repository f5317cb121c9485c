"""Run by LeRobot's Python: its image server with one image, or what its own client makes of it.

lerobot_side.py serve PORT IMAGE.npy
lerobot_side.py read PORT OUT.npy
"""

from __future__ import annotations

import sys
import time

import numpy as np
from lerobot.cameras.zmq import ZMQCamera, ZMQCameraConfig, image_server


class Still:
    """A camera of the server: always the same image, RGB."""

    def __init__(self, path: str) -> None:
        self._image = np.load(path)

    def read(self) -> np.ndarray:
        time.sleep(1 / 30)
        return self._image

    def disconnect(self) -> None:
        """Nothing to do."""


def serve(port: int, path: str) -> None:
    server = image_server.ImageServer({"fps": 30, "cameras": {}}, port=port)
    server.cameras = {"other": Still(path), "top": Still(path)}
    if thread := getattr(image_server, "CameraCaptureThread", None):  # from 0.6 on
        server.capture_threads = {n: thread(camera, n) for n, camera in server.cameras.items()}
    server.run()


def read(port: int, path: str) -> None:
    camera = ZMQCamera(ZMQCameraConfig(server_address="127.0.0.1", port=port, camera_name="top"))
    camera.connect()
    np.save(path, camera.async_read(timeout_ms=2000))
    camera.disconnect()


if __name__ == "__main__":
    {"serve": serve, "read": read}[sys.argv[1]](int(sys.argv[2]), sys.argv[3])
