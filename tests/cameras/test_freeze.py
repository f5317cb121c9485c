from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actd.cameras.base import Frame
from actd.cameras.config import OpenCVConfig
from actd.cameras.freeze import Freeze

HEIGHT, WIDTH = 48, 8


@given(st.lists(st.integers(0, 2), min_size=1, max_size=40))
def test_it_is_the_first_of_the_frames_that_are_alike(images: list[int]) -> None:
    freeze = Freeze()
    for t_ns, image in enumerate(images):
        first = t_ns
        while first and images[first - 1] == image:
            first -= 1
        data = np.full((HEIGHT, WIDTH, 3), image, np.uint8)
        assert freeze.changed_ns(Frame(data, t_ns, t_ns + 1)) == first


@given(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(0, 2))
def test_one_pixel_is_a_change(row: int, column: int, channel: int) -> None:
    before = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    after = before.copy()
    after[row, column, channel] = 1
    freeze = Freeze()
    assert freeze.changed_ns(Frame(before, 10, 1)) == 10
    assert freeze.changed_ns(Frame(before.copy(), 20, 2)) == 10
    assert freeze.changed_ns(Frame(after, 30, 3)) == 30


@pytest.mark.parametrize(
    ("source", "chosen", "detects"),
    [
        ("/dev/video0", None, True),
        (2, None, True),
        ("clip.mp4", None, False),
        ("rtsp://cam/live", None, False),
        ("/dev/video0", False, False),
        ("http://cam/top", True, True),
    ],
)
def test_only_a_sensors_noise_is_known_never_to_repeat(
    source: int | str, chosen: bool | None, detects: bool
) -> None:
    config = OpenCVConfig(index_or_path=source, detect_freeze=chosen)
    assert config.detects_freeze is detects
