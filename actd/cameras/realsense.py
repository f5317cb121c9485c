"""The colour images of an Intel RealSense, through pyrealsense2, which is an extra.

The camera is named by serial number, or by name where there is one such. Size, rate and manual
exposure are asked for and the size is proved by the images. Each is stamped when the camera says
that it was taken, as far as that clock is this computer's, else when it arrived. Where the library
is missing, or the camera is missing, busy or silent, that is a CameraError that says which.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from actd.cameras.capture import Image
from actd.cameras.config import RealSenseConfig
from actd.cameras.source import label_of
from actd.errors import CameraError, one_line

INSTALL = "pip install 'actd[realsense]'"

_PLAUSIBLE_AGE_NS = 1_000_000_000
# Key of the configuration -> the library's option, and the automatism that would overrule it.
_MANUAL = {
    "exposure": ("exposure", "enable_auto_exposure"),
    "gain": ("gain", "enable_auto_exposure"),
    "white_balance": ("white_balance", "enable_auto_white_balance"),
}


class RealSense(NamedTuple):
    """One that is plugged in. `modes`: width, height and rate of its colour images."""

    name: str
    serial: str
    port: str
    modes: tuple[tuple[int, int, int], ...]


def connected_realsenses(rs: Any) -> Iterator[RealSense]:
    """Every RealSense that the library sees. Raises RuntimeError where it fails."""
    for device in rs.context().query_devices():
        modes = {
            (video.width(), video.height(), video.fps())
            for sensor in device.query_sensors()
            for profile in sensor.get_stream_profiles()
            if profile.stream_type() == rs.stream.color
            for video in (profile.as_video_stream_profile(),)
        }
        info = {
            key: device.get_info(field) if device.supports(field) else ""
            for key in ("name", "serial_number", "physical_port")
            for field in (getattr(rs.camera_info, key),)
        }
        yield RealSense(
            info["name"], info["serial_number"], info["physical_port"], tuple(sorted(modes))
        )


class RealSenseSource:
    """Images from one RealSense."""

    def __init__(self, name: str, config: RealSenseConfig) -> None:
        self._config = config
        self._label = label_of(name, config)
        try:
            self._rs = import_module("pyrealsense2")
        except ImportError as error:
            raise CameraError(
                f"{self._label}: the library pyrealsense2 cannot be imported ({one_line(error)}); "
                f"{INSTALL}, and as root: apt-get install libusb-1.0-0"
            ) from None
        self._pipeline: Any = None

    def open(self) -> Image:
        """Start the colour stream and let its exposure settle; returns an image.

        Raises CameraError.
        """
        self.close()
        rs, config = self._rs, self._config
        width, height = config.sensor_size
        settings = rs.config()
        pipeline = rs.pipeline()
        try:
            settings.enable_device(self._serial())
            # In blue-green-red every model gives them, the D405 nothing else; 0 is any.
            mode = (width or 0, height or 0, rs.format.bgr8, round(config.fps or 0))
            settings.enable_stream(rs.stream.color, *mode)
            profile = pipeline.start(settings)
        except RuntimeError as error:
            raise CameraError(
                f"{self._label}: cannot be started ({one_line(error)}); end what else uses it, and "
                "set width, height and fps to a mode that `actd cameras` lists for it"
            ) from None
        self._pipeline = pipeline
        self._set_manual(profile.get_device())
        settled_ns = time.monotonic_ns() + int(config.warmup_s * 1e9)
        # The first image waits for the start of the device.
        image = self._next(config.timeout_s + config.warmup_s)
        while time.monotonic_ns() < settled_ns:
            image = self.read()
        return image

    def read(self) -> Image:
        """The next image. Raises CameraError."""
        if self._pipeline is None:
            raise CameraError(f"{self._label}: read before it was opened; open it first")
        return self._next(self._config.timeout_s)

    def close(self) -> None:
        """Stop the stream. Safe to call twice."""
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            try:
                pipeline.stop()
            except RuntimeError:  # unplugged: there is nothing left to stop
                return

    def _next(self, timeout_s: float) -> Image:
        try:
            arrived, frames = self._pipeline.try_wait_for_frames(round(timeout_s * 1000))
            color = frames.get_color_frame() if arrived else None
        except RuntimeError as error:
            raise self._silent(one_line(error)) from None
        if not color:
            raise self._silent(f"no image for {timeout_s:g} s")
        # The library uses the memory again.
        bgr = np.array(color.get_data(), dtype=np.uint8, copy=True)
        return Image(bgr, self._capture_time_ns(color))

    def _capture_time_ns(self, frame: Any) -> int:
        now_ns = time.monotonic_ns()
        if frame.get_frame_timestamp_domain() == self._rs.timestamp_domain.hardware_clock:
            return now_ns
        # The other clocks are Unix time, in ms.
        age_ns = time.time_ns() - round(frame.get_timestamp() * 1e6)
        return now_ns - age_ns if 0 <= age_ns < _PLAUSIBLE_AGE_NS else now_ns

    def _serial(self) -> str:
        configured = self._config.serial_number_or_name
        present = list(connected_realsenses(self._rs))
        if any(camera.serial == configured for camera in present):
            return configured
        named = [camera.serial for camera in present if camera.name == configured]
        if len(named) == 1:
            return named[0]
        here = ", ".join(f"{camera.serial} ({camera.name})" for camera in present) or "none"
        remedy = "give one's serial number in quotes" if present else "plug it in"
        what = "several have that name" if named else "no such RealSense"
        raise CameraError(f"{self._label}: {what}; here: {here}; {remedy}")

    def _set_manual(self, device: Any) -> None:
        rs = self._rs
        given = {key: getattr(self._config, key) for key in _MANUAL}
        for key, value in given.items():
            if value is None:
                continue
            option, automatism = (getattr(rs.option, name) for name in _MANUAL[key])
            sensor = next((s for s in self._colour_sensors(device) if s.supports(option)), None)
            try:
                if sensor is None:
                    raise RuntimeError("it has no such setting")
                if sensor.supports(automatism):
                    sensor.set_option(automatism, 0)
                sensor.set_option(option, value)
            except RuntimeError as error:
                self.close()
                raise CameraError(
                    f"{self._label}: {key}: {value:g} is refused ({one_line(error)}); choose "
                    "another, or leave it out for automatic"
                ) from None

    def _colour_sensors(self, device: Any) -> Iterator[Any]:
        for sensor in device.query_sensors():
            profiles = sensor.get_stream_profiles()
            if any(profile.stream_type() == self._rs.stream.color for profile in profiles):
                yield sensor

    def _silent(self, cause: str) -> CameraError:
        return CameraError(
            f"{self._label}: {cause}; see that it is plugged in, by a USB 3 cable, and not used by "
            "another program"
        )
