"""A V4L2 device, such as a USB webcam, through OpenCV.

Asks for pixel format, then size, then rate (a driver forgets the later ones otherwise) and reads
back what it got: another size or rate is a CameraError; another format, or a driver that does
not tell its rate, a warning. Gives the
newest image with the driver's own capture time. A device that is missing, forbidden, in use or
silent is a CameraError that says which.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2

from actd.cameras.capture import Capture, Image, LatestImage
from actd.cameras.config import OpenCVConfig
from actd.errors import CameraError
from actd.holders import holders

log = logging.getLogger(__name__)

# Uncompressed images take some 16 times the USB bandwidth: two cameras then starve one another.
PREFERRED_FOURCC = "MJPG"

_JPEGS = ("MJPG", "JPEG")
_PLAUSIBLE_AGE_NS = 1_000_000_000
_FPS_TOLERANCE = 1e-3


def open_v4l2(path: str) -> Capture:
    """The device at `path`, by V4L2 and no other backend: FFmpeg may hang on a device."""
    capture: Capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    return capture


class DeviceSource:
    """Images from `config.path`, a /dev path. `connect` opens it."""

    def __init__(
        self,
        name: str,
        config: OpenCVConfig,
        connect: Callable[[str], Capture] = open_v4l2,
    ) -> None:
        self._config = config
        self._label = f"camera {name} ({config.path})"
        self._open_capture = connect
        self._latest: LatestImage | None = None

    def open(self) -> Image:
        """Set the device up and let its exposure settle; returns an image. Raises CameraError."""
        self.close()
        check_device(self._label, Path(self._config.path))
        remedy = "see that it is plugged in and not starved of USB bandwidth (dmesg tells why)"
        self._latest = LatestImage(self._connect, capture_time_ns, label=self._label, remedy=remedy)
        # Drivers may take a second to start, and the first image waits for that.
        image = self._latest.take(self._config.timeout_s + self._config.warmup_s)
        settled_ns = time.monotonic_ns() + int(self._config.warmup_s * 1e9)
        while time.monotonic_ns() < settled_ns:
            image = self.read()
        return image

    def read(self) -> Image:
        """The newest image not yet read. Raises CameraError."""
        if self._latest is None:
            raise CameraError(f"{self._label}: read before it was opened; open it first")
        return self._latest.take(self._config.timeout_s)

    def close(self) -> None:
        """Release the device. Safe to call twice."""
        if self._latest is not None:
            self._latest.stop(self._config.timeout_s)
            self._latest = None

    def _connect(self) -> Capture:
        capture = self._open_capture(self._config.path)
        if not capture.isOpened():
            path = Path(self._config.path)
            held = ", ".join(map(str, holders([path]).get(path, ())))
            cause = f"{held} has it open" if held else "another program may hold it"
            raise CameraError(
                f"{self._label}: cannot be opened as a camera: {cause}, or it gives no images; end "
                "that program, or choose another (`actd cameras` lists them)"
            )
        try:
            set_up(self._label, self._config, capture)
            if _fourcc_text(capture.get(cv2.CAP_PROP_FOURCC)) in _JPEGS:
                capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)  # each JPEG as it came, whole or not
        except CameraError:
            capture.release()
            raise
        return capture


def check_device(label: str, path: Path) -> None:
    """Raise CameraError when `path` is missing or may not be opened."""
    if not path.exists():
        here = ", ".join(sorted(str(p) for p in Path("/dev").glob("video*"))) or "none"
        raise CameraError(
            f"{label}: no such device; cameras here: {here}; plug it in or correct index_or_path"
        )
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise CameraError(
            f"{label}: permission denied; add the user to the group that owns it (sudo usermod "
            "-aG video $USER) and log in again"
        )


def set_up(label: str, config: OpenCVConfig, capture: Capture) -> None:
    """Ask for format, size and rate, and read back. Raises CameraError for another size or rate."""
    capture.set(cv2.CAP_PROP_FOURCC, _fourcc_code(config.fourcc or PREFERRED_FOURCC))
    width, height = config.sensor_size
    if width:
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    if height:
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    if config.fps:
        capture.set(cv2.CAP_PROP_FPS, config.fps)
    _check_size(label, (width, height), capture)
    _check_rate(label, config.fps, capture.get(cv2.CAP_PROP_FPS))
    fourcc = _fourcc_text(capture.get(cv2.CAP_PROP_FOURCC))
    if config.fourcc and fourcc != config.fourcc:
        log.warning("%s: asked fourcc %s, got %s", label, config.fourcc, fourcc)


def capture_time_ns(capture: Capture) -> int:
    """The driver's stamp of the image just grabbed, or now where that is not believable.

    V4L2 stamps are CLOCK_MONOTONIC, but some drivers use another clock, or none.
    """
    now_ns = time.monotonic_ns()
    stamp_ns = round(capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
    return stamp_ns if 0 <= now_ns - stamp_ns < _PLAUSIBLE_AGE_NS else now_ns


def _check_size(label: str, configured: tuple[int | None, int | None], capture: Capture) -> None:
    actual = (
        int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
        int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
    )
    size = (configured[0] or actual[0], configured[1] or actual[1])
    if size != actual:
        raise CameraError(
            f"{label}: asked {size[0]}x{size[1]}, got {actual[0]}x{actual[1]}; set width and "
            "height to a size that `actd cameras` lists for it, or add resize"
        )


def _check_rate(label: str, fps: float | None, actual: float) -> None:
    """CSI nodes and loopbacks tell none: 0, -1, or a division by nothing."""
    if not fps:
        return
    if not 0 < actual < math.inf:
        log.warning(
            "%s: its driver does not tell its rate: whether it gives %g frames per second will "
            "be measured",
            *(label, fps),
        )
    elif abs(actual - fps) > _FPS_TOLERANCE * fps:
        raise CameraError(
            f"{label}: asked {fps:g} frames per second, got {actual:g}; set fps to a rate the "
            "camera offers at this size (`actd cameras` lists them), or fourcc to MJPG"
        )


def _fourcc_code(text: str) -> int:
    return int.from_bytes(text.encode("ascii"), "little")


def _fourcc_text(code: float) -> str:
    return int(code).to_bytes(4, "little").decode("ascii", "replace")
