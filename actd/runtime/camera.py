"""The process of one camera: newest frame into shared memory, forever.

Reads its source through `actd.cameras`, publishes frames to its ring, wakes inference, and
reports its condition (opening, ok, slow, grey, unlike training, failed and why) to the supervisor.
A camera that fails is closed and opened again, with a growing pause; meanwhile its newest frame
grows old, which is what stops chunks being made from it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from actd.cameras.base import Camera, Frame
from actd.cameras.config import CameraConfig
from actd.cameras.freeze import Freeze
from actd.cameras.health import Health
from actd.cameras.likeness import ImageMoments
from actd.cameras.make import make_camera
from actd.errors import CameraError
from actd.runtime import process_entry
from actd.runtime.camera_condition import CameraCondition
from actd.runtime.channels import FRAME_SLOTS, frame_dtype
from actd.runtime.shm import Ring
from actd.runtime.wakeup import WakeUp

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraSettings(process_entry.ProcessSettings):
    """Which camera, what the deployment says of it, and of its images in training, None where that
    is not known.
    """

    name: str
    config: CameraConfig
    trained: ImageMoments | None = None


def run(settings: CameraSettings) -> None:
    """Deliver frames until the process is ended."""
    name, config, fds = settings.name, settings.config, settings.fds
    size = settings.shapes.cameras[name]
    ring = Ring(frame_dtype(*size), FRAME_SLOTS, crc=False, fd=fds[f"frame:{name}"])
    outlet = FrameWriter(name, config, ring, WakeUp(fds["wakeup"]), size, trained=settings.trained)
    camera = make_camera(name, config)
    pause_s = _FIRST_PAUSE_S
    process_entry.report(state="opening")
    while True:
        delivered = ring.newest
        try:
            camera.open()
            outlet.opened()
            outlet.deliver(camera)
        except CameraError as error:
            process_entry.report(state="failed", why=str(error))
            camera.close()
        if ring.newest > delivered:
            pause_s = _FIRST_PAUSE_S
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


class FrameWriter:
    """Puts the frames of one camera where the others see them, and says how it does."""

    def __init__(
        self,
        name: str,
        config: CameraConfig,
        ring: Ring,
        wakeup: WakeUp,
        size: tuple[int, ...],
        *,
        trained: ImageMoments | None = None,
    ) -> None:
        self._name = name
        self._config = config
        self._ring = ring
        self._wakeup = wakeup
        self._size = size
        self._trained = trained
        self._health = Health(config.fps)
        self._freeze = Freeze() if config.detects_freeze else None
        self._latency_ns = round(config.latency_ms * 1e6)
        self._openings = ring.peek("openings") or 0
        self._damaged = ring.peek("damaged") or 0

    def opened(self) -> None:
        """The source was opened. Behind a device's name another camera may be found now."""
        if self._config.is_device:
            self._openings += 1

    def deliver(self, camera: Camera) -> None:
        """Publish frames until the camera raises CameraError."""
        first = camera.read()
        self._publish(first)
        process_entry.report(state="ok")
        condition = CameraCondition(self._config, self._trained)
        while True:
            frame = camera.read()
            self._publish(frame)
            change = condition.changed(frame, self._health.fps(frame.t_capture_ns))
            if change:
                process_entry.report(**change)

    def _publish(self, frame: Frame) -> None:
        self._check_size(frame)
        t_ns = frame.t_capture_ns
        self._health.frame(t_ns)
        changed_ns = t_ns if self._freeze is None else self._freeze.changed_ns(frame)
        late_ns = self._latency_ns
        times_ns = (t_ns - late_ns, changed_ns - late_ns)
        self._damaged += frame.damaged
        counts = (self._health.drops, self._openings, self._damaged)
        self._ring.write((*times_ns, *counts, frame.data))
        self._wakeup.ring()

    def _check_size(self, frame: Frame) -> None:
        height, width = self._size
        if frame.data.shape[:2] != (height, width):
            size = f"{frame.data.shape[1]}x{frame.data.shape[0]}"
            raise CameraError(
                f"camera {self._name}: gives {size}, the policy was trained on {width}x{height}; "
                f"set width and height to that, or add resize: [{width}, {height}]"
            )
