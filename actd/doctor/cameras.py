"""Look at every camera of a deployment at once, as the daemon will: through actd's own capture.

At once, because cameras that work alone may starve one another on one bus.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from actd.cameras.base import Camera, Frame
from actd.cameras.config import CameraConfig
from actd.cameras.freeze import Freeze
from actd.cameras.grey import is_grey
from actd.cameras.health import Health
from actd.cameras.make import make_camera
from actd.doctor.facts import CameraHere, Look, UsbPort
from actd.errors import CameraError
from actd.holders import holders

LOOK_S = 2.0

_MOST_CAMERAS = 16
_USB_BUS = re.compile(r"usb\d+")


def look_at(cameras: Mapping[str, CameraConfig], root: Path = Path("/")) -> tuple[CameraHere, ...]:
    """What each of `cameras` gives for two seconds."""
    with ThreadPoolExecutor(_MOST_CAMERAS) as pool:
        return tuple(pool.map(lambda name: _camera(name, cameras[name], root), cameras))


def usb_port(path: str, root: Path = Path("/")) -> UsbPort | None:
    """Where the V4L2 device at `path` is plugged in, None for what is not on USB."""
    node = root / "sys/class/video4linux" / Path(os.path.realpath(path)).name / "device"
    interface = Path(os.path.realpath(node))
    for folder in (interface, *interface.parents):
        with suppress(OSError, ValueError):
            speed = float((folder / "speed").read_text())
            bus = next(part for part in folder.parts if _USB_BUS.fullmatch(part))
            return UsbPort(bus, folder.name, speed)
    return None


def _camera(name: str, config: CameraConfig, root: Path) -> CameraHere:
    is_node = config.kind == "device"
    node = Path(config.path)
    held_by = holders([node], root / "proc").get(node, ()) if is_node else ()
    usb = usb_port(config.path, root) if is_node else None
    try:
        camera = make_camera(name, config)
    except CameraError as error:  # a library or a plugin is missing
        return CameraHere(name, config, error=str(error))
    try:
        camera.open()
        return CameraHere(name, config, held_by, usb, _look(camera, config))
    except CameraError as error:
        return CameraHere(name, config, held_by, usb, error=str(error))
    finally:
        camera.close()


def _look(camera: Camera, config: CameraConfig) -> Look:
    health, freeze = Health(config.fps), Freeze()
    frame = camera.read()
    first_ns, unchanged_ns, damaged = frame.t_capture_ns, 0, 0
    grey = True
    brightness: list[float] = []
    end_ns = time.monotonic_ns() + round(LOOK_S * 1e9)
    while time.monotonic_ns() < end_ns:
        health.frame(frame.t_capture_ns)
        unchanged_ns = frame.t_capture_ns - freeze.changed_ns(frame)
        grey = grey and is_grey(frame.data)
        brightness.append(_brightness(frame))
        damaged += frame.damaged
        frame = camera.read()
    return Look(
        frames=len(brightness),
        damaged=damaged,
        fps=health.fps(frame.t_capture_ns),
        brightness=sum(brightness) / max(1, len(brightness)),
        grey=grey,
        unchanged_ms=min(unchanged_ns, frame.t_capture_ns - first_ns) / 1e6,
    )


def _brightness(frame: Frame) -> float:
    """The mean of one pixel in 64."""
    return float(frame.data[::8, ::8].mean())
