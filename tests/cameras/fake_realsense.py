"""A stand-in for pyrealsense2: its names, and what its own documentation says they do.

`devices` of a module made by `library` are those plugged in; taking one out unplugs it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import Enum
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

stream = Enum("stream", "any depth color infrared")
format = Enum("format", "any z16 rgb8 bgr8")
camera_info = Enum("camera_info", "name serial_number physical_port firmware_version")
timestamp_domain = Enum("timestamp_domain", "hardware_clock system_time global_time")
option = Enum(
    "option", "exposure gain white_balance enable_auto_exposure enable_auto_white_balance"
)


@dataclass
class Profile:
    """A stream profile, and the video stream profile that it is."""

    kind: Any
    size: tuple[int, int]
    rate: int

    def stream_type(self) -> Any:
        return self.kind

    def as_video_stream_profile(self) -> Profile:
        return self

    def width(self) -> int:
        return self.size[0]

    def height(self) -> int:
        return self.size[1]

    def fps(self) -> int:
        return self.rate


@dataclass
class Sensor:
    profiles: list[Profile]
    limits: dict[Any, tuple[float, float]]
    set_to: dict[Any, float] = field(default_factory=dict)

    def get_stream_profiles(self) -> list[Profile]:
        return self.profiles

    def supports(self, what: Any) -> bool:
        return what in self.limits

    def set_option(self, what: Any, value: float) -> None:
        low, high = self.limits[what]
        if not low <= value <= high:
            raise RuntimeError(f'out of range value for argument\n "value" ({value})')
        self.set_to[what] = value


def _depth() -> Sensor:
    return Sensor([Profile(stream.depth, (640, 480), 30)], {option.exposure: (1, 165000)})


def _colour() -> Sensor:
    modes = [((640, 480), 30), ((640, 480), 60), ((1280, 720), 30)]
    limits = {
        option.exposure: (1, 10000),
        option.gain: (0, 128),
        option.white_balance: (2800, 6500),
        option.enable_auto_exposure: (0, 1),
        option.enable_auto_white_balance: (0, 1),
    }
    return Sensor([Profile(stream.color, *mode) for mode in modes], limits)


@dataclass
class Device:
    """One camera. `image`: BGR; None: it delivers nothing. `clock`: which stamps it gives."""

    serial: str = "0123456789"
    name: str = "Intel RealSense D435"
    image: NDArray[np.uint8] | None = None
    busy: bool = False
    clock: Any = timestamp_domain.global_time
    age_ms: float = 20.0
    depth: Sensor = field(default_factory=_depth)
    colour: Sensor = field(default_factory=_colour)
    running: bool = False

    def supports(self, info: Any) -> bool:
        return info is not camera_info.physical_port

    def get_info(self, info: Any) -> str:
        return {camera_info.name: self.name, camera_info.serial_number: self.serial}[info]

    def query_sensors(self) -> list[Sensor]:
        return [self.depth, self.colour]


class Frame:
    """Its data are the library's own memory, which the next frame overwrites."""

    def __init__(self, device: Device, memory: NDArray[np.uint8]) -> None:
        self._device, self._memory = device, memory

    def get_data(self) -> Any:
        return memoryview(self._memory)

    def get_timestamp(self) -> float:
        clock = self._device.clock
        return 5.0 if clock is timestamp_domain.hardware_clock else time.time_ns() / 1e6 - 20

    def get_frame_timestamp_domain(self) -> Any:
        return self._device.clock


class Frames:
    def __init__(self, frame: Frame | None) -> None:
        self._frame = frame

    def get_color_frame(self) -> Frame | None:
        return self._frame


class Config:
    def __init__(self) -> None:
        self.serial = ""
        self.asked: tuple[Any, ...] = ()

    def enable_device(self, serial: str) -> None:
        self.serial = serial

    def enable_stream(self, *asked: Any) -> None:
        self.asked = asked


def library(*devices: Device) -> Any:
    """The module, with `devices` plugged in."""
    module: Any = ModuleType("pyrealsense2")
    module.devices = list(devices)

    class Context:
        def query_devices(self) -> list[Device]:
            return list(module.devices)

    class Started:
        def __init__(self, device: Device) -> None:
            self._device = device

        def get_device(self) -> Device:
            return self._device

    class Pipeline:
        def __init__(self) -> None:
            self._device: Device | None = None
            self._memory = np.zeros((1, 1, 3), np.uint8)

        def start(self, config: Config) -> Started:
            found = [device for device in module.devices if device.serial == config.serial]
            if not found:
                raise RuntimeError("No device connected")
            kind, width, height, pixels, rate = config.asked
            offers = [
                profile
                for profile in found[0].colour.profiles
                if profile.kind is kind
                and width in (0, profile.width())
                and height in (0, profile.height())
                and rate in (0, profile.fps())
            ]
            if not offers or pixels is not format.bgr8:
                raise RuntimeError("Couldn't resolve requests")
            if found[0].busy:
                raise RuntimeError(
                    "xioctl(VIDIOC_S_FMT) failed Last Error: Device or resource busy"
                )
            self._device = found[0]
            self._memory = np.zeros((offers[0].height(), offers[0].width(), 3), np.uint8)
            found[0].running = True
            return Started(found[0])

        def try_wait_for_frames(self, timeout_ms: int = 5000) -> tuple[bool, Frames]:
            if self._device not in module.devices:
                raise RuntimeError("Frame didn't arrive within 5000")
            if self._device is None or self._device.image is None:
                time.sleep(timeout_ms / 1000)
                return False, Frames(None)
            time.sleep(0.005)
            self._memory[:] = self._device.image[: len(self._memory), : self._memory.shape[1]]
            return True, Frames(Frame(self._device, self._memory))

        def stop(self) -> None:
            if self._device is None:
                raise RuntimeError("stop() cannot be called before start()")
            self._device.running = False

    module.stream, module.format, module.option = stream, format, option
    module.camera_info, module.timestamp_domain = camera_info, timestamp_domain
    module.context, module.pipeline, module.config = Context, Pipeline, Config
    return module
