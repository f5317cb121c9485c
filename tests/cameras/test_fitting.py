"""Which mode of a camera is chosen for the size and rate that a policy was trained on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.cameras.config import OpenCVConfig, RealSenseConfig
from actd.cameras.fitting import fitted
from actd.cameras.listing import ConnectedCamera
from actd.cameras.v4l2 import Mode

VGA = (640, 480)


def webcam(*modes: Mode) -> ConnectedCamera:
    return ConnectedCamera(name="cam", config=OpenCVConfig(index_or_path=0), modes=modes)


@pytest.mark.parametrize(
    ("modes", "chosen"),
    [
        ([Mode("MJPG", 640, 480, (60, 30, 15))], {"width": 640, "height": 480, "fps": 30}),
        (
            [Mode("YUYV", 640, 480, (30,)), Mode("MJPG", 640, 480, (30,))],
            {"width": 640, "height": 480, "fps": 30},
        ),
        (
            [Mode("YUYV", 640, 480, (30,)), Mode("MJPG", 1280, 720, (30,))],
            {"width": 640, "height": 480, "fps": 30, "fourcc": "YUYV"},
        ),
        (
            [Mode("MJPG", 1920, 1080, (30,)), Mode("MJPG", 1280, 960, (25,))],
            {"width": 1280, "height": 960, "fps": 25, "resize": VGA},
        ),
        (
            [Mode("MJPG", 320, 240, (30,)), Mode("MJPG", 160, 120, (30,))],
            {"width": 320, "height": 240, "fps": 30, "resize": VGA},
        ),
        (
            [Mode("H264", 640, 480, (30,)), Mode("GREY", 640, 480, (90,)), Mode("MJPG", *VGA, ())],
            {"width": 640, "height": 480, "fps": 30},
        ),
        ([], {"width": 640, "height": 480, "fps": 30}),
    ],
)
def test_the_trained_size_and_rate_or_the_next_best(
    modes: list[Mode], chosen: dict[str, Any]
) -> None:
    config = fitted(webcam(*modes), VGA, 30)
    assert config is not None
    given = config.model_dump(exclude_defaults=True, exclude={"type", "index_or_path"})
    assert given == chosen


def test_a_camera_of_another_library_has_no_pixel_format() -> None:
    realsense = RealSenseConfig(type="intelrealsense", serial_number_or_name="1")
    camera = ConnectedCamera(
        name="D435", config=realsense, modes=(Mode("BGR8", 640, 480, (60, 30)),)
    )
    config = fitted(camera, VGA, 50)
    assert config is not None
    assert config.fps == 60
    assert "fourcc" not in config.model_dump()
    assert fitted(ConnectedCamera(name="OAK", config=None), VGA, 30) is None


MODES = st.builds(
    Mode,
    st.sampled_from(["MJPG", "YUYV", "GREY"]),
    st.integers(16, 4000),
    st.integers(16, 4000),
    st.lists(st.floats(1, 240), max_size=3).map(lambda rates: tuple(sorted(rates, reverse=True))),
)


@given(st.lists(MODES, max_size=6), st.floats(1, 120))
def test_whatever_is_chosen_gives_the_trained_size(modes: list[Mode], fps: float) -> None:
    config = fitted(webcam(*modes), VGA, fps)
    assert config is not None
    assert (config.resize or (config.width, config.height)) == VGA
    again = OpenCVConfig.model_validate(config.model_dump())
    assert again == config
