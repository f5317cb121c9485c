"""The V4L2 branch, against a device that behaves as a driver is known to."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from actd.cameras.base import Camera
from actd.cameras.config import OpenCVConfig
from actd.cameras.device import DeviceSource, capture_time_ns, check_device, set_up
from actd.cameras.make import make_camera
from actd.cameras.source import SourceCamera
from actd.errors import CameraError
from tests.cameras.images import jpeg, number_of, numbered

FOURCC, WIDTH, HEIGHT, FPS, RGB = (
    cv2.CAP_PROP_FOURCC,
    cv2.CAP_PROP_FRAME_WIDTH,
    cv2.CAP_PROP_FRAME_HEIGHT,
    cv2.CAP_PROP_FPS,
    cv2.CAP_PROP_CONVERT_RGB,
)


def code(text: str) -> float:
    return float(int.from_bytes(text.encode(), "little"))


class Webcam:
    """A driver with fixed modes: what it does not offer, it quietly keeps as it was."""

    def __init__(self, frames: int = 1000, **offers: set[Any]) -> None:
        self.values = {FOURCC: code("YUYV"), WIDTH: 640.0, HEIGHT: 480.0, FPS: 30.0, RGB: 1.0}
        self.offers = {
            FOURCC: {code(t) for t in offers.get("fourcc", {"YUYV", "MJPG"})},
            WIDTH: offers.get("width", {640, 1280}),
            HEIGHT: offers.get("height", {480, 720}),
            FPS: offers.get("fps", {30}),
            RGB: {0, 1},
        }
        self.asked: list[int] = []
        self.frames = frames
        self.number = 0
        self.released = False

    def set(self, prop: int, value: float) -> bool:
        self.asked.append(prop)
        taken = value in self.offers[prop]
        if taken:
            self.values[prop] = float(value)
        return taken

    def get(self, prop: int) -> float:
        return self.values.get(prop, time.monotonic_ns() / 1e6)

    def grab(self) -> bool:
        time.sleep(0.001)
        self.number += 1
        return self.number <= self.frames

    def retrieve(self) -> tuple[bool, Any]:
        size = int(self.values[WIDTH]), int(self.values[HEIGHT])
        image = numbered(self.number % 256, *size)
        return True, image if self.values[RGB] else self.file(image)

    def file(self, image: Any) -> Any:
        """The bytes that came over USB."""
        return np.frombuffer(jpeg(image), np.uint8)[np.newaxis]

    def isOpened(self) -> bool:
        return True

    def release(self) -> None:
        self.released = True


def config_of(**settings: object) -> OpenCVConfig:
    return OpenCVConfig.model_validate({"index_or_path": 0, "warmup_s": 0, **settings})


def test_format_is_asked_before_size_and_size_before_rate() -> None:
    webcam = Webcam()
    set_up("cam", config_of(width=1280, height=720, fps=30), webcam)
    assert webcam.asked == [FOURCC, WIDTH, HEIGHT, FPS]
    assert webcam.values == {FOURCC: code("MJPG"), WIDTH: 1280, HEIGHT: 720, FPS: 30, RGB: 1}


def test_a_rotated_camera_is_asked_for_its_own_width() -> None:
    webcam = Webcam()
    set_up("cam", config_of(width=720, height=1280, rotation=90), webcam)
    assert (webcam.values[WIDTH], webcam.values[HEIGHT]) == (1280, 720)


def test_nothing_asked_keeps_what_the_device_gives() -> None:
    webcam = Webcam()
    set_up("cam", config_of(), webcam)
    assert webcam.asked == [FOURCC]


def test_another_size_is_refused() -> None:
    with pytest.raises(CameraError, match=r"cam: asked 320x240, got 640x480; .*or add resize"):
        set_up("cam", config_of(width=320, height=240), Webcam())


def test_another_rate_is_refused() -> None:
    with pytest.raises(CameraError, match="cam: asked 60 frames per second, got 30; set fps"):
        set_up("cam", config_of(fps=60), Webcam())


@pytest.mark.parametrize("told", [0.0, -1.0, float("inf"), float("nan")])
def test_a_driver_that_does_not_tell_its_rate_is_used_and_measured(
    camera_with: Callable[..., Camera], caplog: pytest.LogCaptureFixture, told: float
) -> None:
    webcam = Webcam(fps=set())
    webcam.values[FPS] = told
    camera = camera_with(webcam, width=640, height=480, fps=30)
    with caplog.at_level(logging.WARNING):
        camera.open()
    assert camera.read().data.shape == (480, 640, 3)
    camera.close()
    (line,) = caplog.messages
    assert "does not tell its rate: whether it gives 30 frames per second will be measured" in line


def test_another_format_is_a_warning_only_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        set_up("cam", config_of(), Webcam(fourcc={"YUYV"}))
        assert not caplog.messages
        set_up("cam", config_of(fourcc="MJPG"), Webcam(fourcc={"YUYV"}))
    assert caplog.messages == ["cam: asked fourcc MJPG, got YUYV"]


@pytest.mark.parametrize(
    ("age_ms", "believed"), [(0.5, True), (40, True), (5000, False), (-5000, False)]
)
def test_the_drivers_stamp_is_taken_when_believable(age_ms: float, believed: bool) -> None:
    webcam = Webcam()
    stamp_ms = time.monotonic_ns() / 1e6 - age_ms
    webcam.values[cv2.CAP_PROP_POS_MSEC] = stamp_ms
    before_ns = time.monotonic_ns()
    t_ns = capture_time_ns(webcam)
    if believed:
        assert t_ns == pytest.approx(stamp_ms * 1e6, abs=1000)
    else:
        assert before_ns <= t_ns <= time.monotonic_ns()


@pytest.fixture
def camera_with(tmp_path: Path) -> Callable[..., Camera]:
    """A camera whose device node exists and whose driver is the given one."""
    node = tmp_path / "video0"
    node.touch()

    def make(webcam: Webcam, **settings: object) -> Camera:
        config = config_of(index_or_path=str(node), timeout_s=0.5, **settings)
        source = DeviceSource("wrist", config, connect=lambda _: webcam)
        return SourceCamera("wrist", config, source)

    return make


def test_a_device_delivers_until_it_is_unplugged(camera_with: Callable[..., Camera]) -> None:
    webcam = Webcam(frames=50)
    camera = camera_with(webcam, width=640, height=480, fps=30)
    camera.open()
    numbers: list[int] = []

    def read_on() -> None:
        while True:
            numbers.append(number_of(camera.read().data))

    with pytest.raises(CameraError, match=r"wrist .*: stopped delivering; see that it is plugged"):
        read_on()
    camera.close()
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 50
    assert webcam.released


def test_images_that_came_in_part_are_left_out_and_counted(
    camera_with: Callable[..., Camera],
) -> None:
    class Loose(Webcam):
        def file(self, image: Any) -> Any:
            whole = super().file(image)
            return whole[:, : int(0.6 * whole.size)] if self.number % 3 == 2 else whole

    camera = camera_with(Loose(frames=40), width=640, height=480)
    camera.open()
    numbers, damaged = [], 0
    with contextlib.suppress(CameraError):
        while True:
            frame = camera.read()
            numbers.append(number_of(frame.data))
            damaged += frame.damaged
    camera.close()
    assert len(numbers) > 5
    assert all(number % 3 != 2 for number in numbers)
    assert damaged >= 8


def test_a_device_that_gives_no_jpegs_is_left_to_opencv(
    camera_with: Callable[..., Camera],
) -> None:
    webcam = Webcam(fourcc={"YUYV"})
    camera = camera_with(webcam)
    camera.open()
    assert camera.read().data.shape == (480, 640, 3)
    camera.close()
    assert RGB not in webcam.asked


def test_a_wrong_mode_releases_the_device(camera_with: Callable[..., Camera]) -> None:
    webcam = Webcam()
    with pytest.raises(CameraError, match="asked 800x600"):
        camera_with(webcam, width=800, height=600).open()
    assert webcam.released


def test_a_raw_image_is_refused(camera_with: Callable[..., Camera]) -> None:
    class Infrared(Webcam):
        def retrieve(self) -> tuple[bool, Any]:
            return True, np.zeros((480, 640), np.uint16)

    with pytest.raises(CameraError, match=r"found a uint16 image of shape \(480, 640\)"):
        camera_with(Infrared()).open()


def test_a_missing_device_names_those_that_are_there() -> None:
    camera = make_camera("wrist", config_of(index_or_path=97))
    with pytest.raises(CameraError, match=r"/dev/video97\): no such device; cameras here: "):
        camera.open()


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Root may open everything, so it steps down for the test."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield
    if root:
        os.seteuid(0)


def test_a_forbidden_device_names_the_group(unprivileged: None) -> None:
    with tempfile.NamedTemporaryFile() as node:
        Path(node.name).chmod(0)
        with pytest.raises(CameraError, match=r"^cam: permission denied; .*usermod -aG video"):
            check_device("cam", Path(node.name))


def test_a_node_that_is_no_camera_says_what_to_try() -> None:
    camera = make_camera("wrist", config_of(index_or_path="/dev/null"))
    with pytest.raises(CameraError, match="cannot be opened as a camera"):
        camera.open()
