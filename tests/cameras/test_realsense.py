"""RealSense cameras, through a library of the same names; see fake_realsense."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig
from actd.cameras.make import make_camera
from actd.errors import CameraError
from tests.cameras.fake_realsense import Device, library, option, timestamp_domain
from tests.cameras.images import number_of, numbered

Make = Callable[..., Camera]


@pytest.fixture
def device() -> Device:
    return Device(image=numbered(7, 640, 480))


@pytest.fixture
def rs(device: Device, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = library(device)
    monkeypatch.setitem(sys.modules, "pyrealsense2", module)
    return module


def make(**settings: object) -> Camera:
    base = {"type": "intelrealsense", "serial_number_or_name": "0123456789", "warmup_s": 0}
    return make_camera("wrist", CameraConfig.model_validate({**base, "timeout_s": 0.1, **settings}))


def test_it_gives_colour_images_of_the_asked_mode(rs: Any, device: Device) -> None:
    device.image = np.full((480, 640, 3), (10, 20, 200), np.uint8)  # blue first
    camera = make(width=640, height=480, fps=30)
    camera.open()
    frames = [camera.read(), camera.read()]
    camera.close()
    camera.close()
    assert not device.running
    assert frames[0].data.shape == (480, 640, 3)
    assert frames[0].data[0, 0].tolist() == [200, 20, 10]
    assert [frame.seq for frame in frames] == [1, 2]


def test_a_frame_outlives_the_librarys_memory(rs: Any, device: Device) -> None:
    camera = make(color_mode="bgr")
    camera.open()
    first = camera.read()
    device.image = numbered(200, 640, 480)
    camera.read()
    assert number_of(first.data) == 7
    camera.close()


def test_a_rotated_camera_is_asked_for_its_own_width(rs: Any) -> None:
    camera = make(width=480, height=640, rotation=90)
    camera.open()
    assert camera.read().data.shape == (640, 480, 3)
    camera.close()


@pytest.mark.parametrize(
    ("clock", "age_ms"),
    [(timestamp_domain.global_time, 20), (timestamp_domain.hardware_clock, 0)],
)
def test_the_capture_time_is_the_cameras_own_where_its_clock_is_ours(
    rs: Any, device: Device, clock: Any, age_ms: float
) -> None:
    device.clock = clock
    camera = make()
    camera.open()
    before_ns = time.monotonic_ns()
    stamp_ns = camera.read().t_capture_ns
    after_ns = time.monotonic_ns()
    camera.close()
    assert before_ns - (age_ms + 5) * 1e6 <= stamp_ns <= after_ns - (age_ms - 5) * 1e6


def test_it_is_found_by_name_where_there_is_one_such(rs: Any, device: Device) -> None:
    camera = make(serial_number_or_name="Intel RealSense D435")
    camera.open()
    camera.close()
    rs.devices.append(Device(serial="99"))
    with pytest.raises(
        CameraError, match=r"several have that name; here: 0123456789 \(Intel .*, 99"
    ):
        camera.open()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"serial_number_or_name": "55"},
            r"no such RealSense; here: 0123456789 \(Intel.*; give one's",
        ),
        (
            {"width": 641, "height": 480},
            r"cannot be started \(Couldn't resolve requests\); end what",
        ),
        ({"fps": 17}, r"cannot be started \(Couldn't resolve requests\); end what"),
        (
            {"exposure": 1e6},
            r"exposure: 1e\+06 is refused \(out of range value .*\); choose another",
        ),
    ],
)
def test_what_it_cannot_do_is_one_line(
    rs: Any, device: Device, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(CameraError, match=rf"^camera wrist \(RealSense .*\): {words}") as caught:
        make(**settings).open()
    assert "\n" not in str(caught.value)
    assert not device.running


def test_manual_settings_end_the_automatic_ones(rs: Any, device: Device) -> None:
    camera = make(exposure=100, white_balance=4000)
    camera.open()
    camera.close()
    assert device.colour.set_to == {
        option.enable_auto_exposure: 0,
        option.exposure: 100,
        option.enable_auto_white_balance: 0,
        option.white_balance: 4000,
    }
    assert device.depth.set_to == {}


def test_a_camera_in_use_is_said(rs: Any, device: Device) -> None:
    device.busy = True
    with pytest.raises(CameraError, match=r"Device or resource busy\); end what else uses it"):
        make().open()


def test_a_silent_camera_costs_the_timeout_and_no_more(rs: Any, device: Device) -> None:
    device.image = None
    begin = time.monotonic()
    with pytest.raises(CameraError, match=r"no image for 0\.1 s; see that it is plugged in"):
        make().open()
    assert time.monotonic() - begin < 2


def test_unplugged_and_plugged_in_again(rs: Any, device: Device) -> None:
    camera = make()
    camera.open()
    rs.devices.clear()
    with pytest.raises(
        CameraError, match=r"Frame didn't arrive within 5000; see that it is plugged"
    ):
        camera.read()
    camera.close()
    with pytest.raises(CameraError, match="no such RealSense; here: none; plug it in"):
        camera.open()
    rs.devices.append(device)
    camera.open()
    assert number_of(camera.read().data) == 7
    camera.close()


def test_a_missing_library_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    with pytest.raises(CameraError, match=r"pyrealsense2 cannot be imported .*actd\[realsense\]"):
        make()


def test_the_real_library_has_the_names_that_are_used() -> None:
    rs = pytest.importorskip("pyrealsense2")
    module = library()
    for name in ("stream", "format", "option", "camera_info", "timestamp_domain"):
        assert not {member.name for member in getattr(module, name)} - set(dir(getattr(rs, name)))
    with pytest.raises(CameraError, match="no such RealSense"):
        make(serial_number_or_name="not-plugged-in").open()
