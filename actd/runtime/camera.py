"""The process of one camera: newest frame into shared memory, forever.

Reads its source through `actd.cameras`, publishes frames to its ring and its condition
(opening, ok, failed and why) to the supervisor. A camera that fails is closed and opened
again, with a growing pause; meanwhile its newest frame grows old, which is what stops
plans being made from it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig
from actd.cameras.health import Health
from actd.cameras.make import make_camera
from actd.errors import CameraError
from actd.runtime import child
from actd.runtime.blocks import frame_dtype
from actd.runtime.shm import Ring

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


def run(job: Mapping[str, Any]) -> None:
    """Deliver frames until the process is ended."""
    os.setpriority(os.PRIO_PROCESS, 0, job["nice"])
    name = str(job["camera"])
    height, width = job["size"]
    config = CameraConfig.model_validate(job["config"])
    ring = Ring(frame_dtype(height, width), 4, crc=False, fd=job["fds"][f"frame:{name}"])
    camera = make_camera(name, config)
    health = Health(config.fps)
    pause_s = _FIRST_PAUSE_S
    child.report(state="opening")
    while True:
        delivered = ring.newest
        try:
            camera.open()
            _deliver(name, camera, ring, health, (height, width))
        except CameraError as error:
            child.report(state="failed", why=str(error))
            camera.close()
        if ring.newest > delivered:
            pause_s = _FIRST_PAUSE_S
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _deliver(name: str, camera: Camera, ring: Ring, health: Health, size: tuple[int, int]) -> None:
    """Publish frames until the camera raises CameraError."""
    announced = False
    while True:
        frame = camera.read()
        if frame.data.shape[:2] != size:
            found = f"{frame.data.shape[1]}x{frame.data.shape[0]}"
            raise CameraError(
                f"camera {name}: gives {found}, the policy was trained on {size[1]}x{size[0]}: "
                f"set width and height to that, or add resize: [{size[1]}, {size[0]}]"
            )
        health.frame(frame.t_capture_ns)
        ring.write((frame.t_capture_ns, frame.t_capture_ns, health.drops, frame.data))
        if not announced:
            child.report(state="ok")
            announced = True


if __name__ == "__main__":
    child.main(run)
