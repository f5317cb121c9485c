"""Which of a camera's modes serves a policy best. Pure."""

from __future__ import annotations

from typing import Any

from actd.cameras.config import CameraConfig
from actd.cameras.device import PREFERRED_FOURCC
from actd.cameras.listing import ConnectedCamera
from actd.cameras.v4l2 import Mode


def fitted(
    camera: ConnectedCamera, size: tuple[int, int], fps: float | None
) -> CameraConfig | None:
    """`camera.config` set to give frames of `size`, (width, height), at `fps` or the next rate up.

    The trained size as it is where the camera has it, else its smallest larger one of the same
    shape, else any larger one, else its largest, scaled. None where nothing reads the camera.
    """
    if camera.config is None:
        return None
    mode = min(camera.colour_modes, key=lambda mode: _misfit(mode, size), default=None)
    if mode is None:
        settings: dict[str, Any] = {"width": size[0], "height": size[1], "fps": fps}
    else:
        settings = {"width": mode.width, "height": mode.height, "fps": _rate(mode, fps)}
        if (mode.width, mode.height) != size:
            settings["resize"] = size
        if "fourcc" in type(camera.config).model_fields and mode.fourcc != PREFERRED_FOURCC:
            settings["fourcc"] = mode.fourcc
    return camera.config.model_copy(update=settings)


def _misfit(mode: Mode, size: tuple[int, int]) -> tuple[Any, ...]:
    """What is smaller is better."""
    exact = (mode.width, mode.height) == size
    larger = mode.width >= size[0] and mode.height >= size[1]
    same_shape = mode.width * size[1] == mode.height * size[0]
    pixels = mode.width * mode.height
    compressed = mode.fourcc == PREFERRED_FOURCC
    return (not exact, not larger, not same_shape, pixels if larger else -pixels, not compressed)


def _rate(mode: Mode, fps: float | None) -> float | None:
    """The slowest rate that is not slower than `fps`."""
    if fps is None or not mode.fps:
        return fps
    return min((rate for rate in mode.fps if rate >= fps - 0.5), default=max(mode.fps))
