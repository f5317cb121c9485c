from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from actd.cameras.base import Camera
from actd.cameras.config import OpenCVConfig
from actd.cameras.make import make_camera
from actd.errors import CameraError
from tests.cameras.conftest import WriteVideo
from tests.cameras.images import HEIGHT, WIDTH, halves, number_of, numbered


def write_av1(path: Path, images: list[NDArray[np.uint8]], fps: int = 200) -> str:
    """The images as LeRobot encodes a dataset's; returns the path.

    In a process of its own: the encoder takes SCHED_FIFO for the thread that calls it, for good.
    """
    child = multiprocessing.get_context("spawn").Process(target=_encode, args=(path, images, fps))
    child.start()
    child.join()
    assert child.exitcode == 0
    return str(path)


def _encode(path: Path, images: list[NDArray[np.uint8]], fps: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libsvtav1", rate=fps, options={"preset": "12", "g": "2"})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def camera_of(path: str, **settings: object) -> Camera:
    return make_camera("top", OpenCVConfig.model_validate({"index_or_path": path, **settings}))


def test_every_image_comes_once_in_order_and_the_file_loops(write_video: WriteVideo) -> None:
    camera = camera_of(write_video([numbered(n) for n in range(5)]))
    camera.open()
    frames = [camera.read() for _ in range(12)]
    camera.close()
    assert [number_of(f.data) for f in frames] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert [f.seq for f in frames] == list(range(1, 13))


@pytest.mark.parametrize(("asked", "expected_hz"), [(None, 200), (500, 500)])
def test_capture_times_are_the_rates_deadlines(
    write_video: WriteVideo, asked: float | None, expected_hz: int
) -> None:
    camera = camera_of(write_video([numbered(n) for n in range(40)], fps=200), fps=asked)
    camera.open()
    times = np.array([camera.read().t_capture_ns for _ in range(40)])
    camera.close()
    steps = np.diff(times)
    # A machine that stalled shifts the schedule; it never shortens a step.
    assert steps.min() == 1_000_000_000 // expected_hz


def test_without_loop_the_end_is_an_error(write_video: WriteVideo) -> None:
    camera = camera_of(write_video([numbered(7), numbered(8)]), loop=False)
    camera.open()
    assert [number_of(camera.read().data) for _ in range(2)] == [7, 8]
    with pytest.raises(CameraError, match=r"camera top \(.*clip.avi\): ended; set loop: true"):
        camera.read()
    camera.close()


def test_opening_again_begins_again(write_video: WriteVideo) -> None:
    camera = camera_of(write_video([numbered(n) for n in range(3)]))
    for _ in range(2):
        camera.open()
        assert number_of(camera.read().data) == 0
        camera.close()
        camera.close()


@pytest.mark.parametrize(("mode", "red"), [("rgb", 0), ("bgr", 2)])
def test_red_is_where_the_colour_mode_says(write_video: WriteVideo, mode: str, red: int) -> None:
    camera = camera_of(write_video([halves(RED, RED)]), color_mode=mode)
    camera.open()
    colour = camera.read().data.mean(axis=(0, 1))
    camera.close()
    assert colour[red] > 240
    assert np.delete(colour, red).max() < 15


@pytest.mark.parametrize(
    ("rotation", "top_left", "bottom_right"),
    [
        (0, "blue", "green"),
        (90, "blue", "green"),
        (180, "green", "blue"),
        (270, "green", "blue"),
        (-90, "green", "blue"),
    ],
)
def test_rotation_turns_clockwise(
    write_video: WriteVideo, rotation: int, top_left: str, bottom_right: str
) -> None:
    sides = rotation in {90, -90, 270}
    width, height = (HEIGHT, WIDTH) if sides else (WIDTH, HEIGHT)
    path = write_video([halves(BLUE, GREEN)])
    camera = camera_of(path, rotation=rotation, width=width, height=height)
    camera.open()
    data = camera.read().data
    camera.close()
    channel = {"green": 1, "blue": 2}
    assert data.shape == (height, width, 3)
    assert data.flags.c_contiguous
    assert data[4, 4].argmax() == channel[top_left]
    assert data[-5, -5].argmax() == channel[bottom_right]


def test_resize_is_the_last_step_and_keeps_the_image(write_video: WriteVideo) -> None:
    camera = camera_of(write_video([numbered(0b10110101)]), width=WIDTH, resize=[80, 48])
    camera.open()
    data = camera.read().data
    camera.close()
    assert data.shape == (48, 80, 3)
    assert data.dtype == np.uint8
    assert number_of(data) == 0b10110101


def test_another_size_is_refused_with_the_one_found(write_video: WriteVideo) -> None:
    camera = camera_of(write_video([numbered(0)]), width=640, height=480)
    with pytest.raises(CameraError, match=r"asked 640x480, got 160x120; set width and height to"):
        camera.open()


@pytest.mark.parametrize("name", ["none", "x" * 300])
def test_a_missing_file_says_so(name: str, tmp_path: Path) -> None:
    """Also one that no folder can hold."""
    camera = camera_of(str(tmp_path / f"{name}.mp4"))
    with pytest.raises(CameraError, match=rf"{name}.mp4\): no such file; correct index_or_path"):
        camera.open()


def test_a_video_that_opencv_cannot_decode_is_read_by_pyav(tmp_path: Path) -> None:
    path = write_av1(tmp_path / "av1.mp4", [numbered(n) for n in range(5)])
    camera = camera_of(path, width=WIDTH, height=HEIGHT)
    camera.open()
    frames = [camera.read() for _ in range(12)]
    camera.close()
    assert [number_of(f.data) for f in frames] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]
    assert frames[1].t_capture_ns - frames[0].t_capture_ns == 5_000_000


def test_its_colours_are_in_order(tmp_path: Path) -> None:
    camera = camera_of(write_av1(tmp_path / "av1.mp4", [halves(RED, BLUE)] * 2))
    camera.open()
    data = camera.read().data
    camera.close()
    assert data[60, 30].argmax() == 0
    assert data[60, 130].argmax() == 2


def test_without_pyav_its_codec_and_what_to_do_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_av1(tmp_path / "av1.mp4", [numbered(0)])
    if cv2.VideoCapture(path).read()[0]:
        pytest.skip("this OpenCV decodes AV1 by itself")
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "actd.cameras.pyav", raising=False)
    words = (
        rf"its codec is AV01, which nothing .*actd\[record\].*ffmpeg -i {path} -c:v libx264 OUT.mp4"
    )
    with pytest.raises(CameraError, match=words):
        camera_of(path).open()


def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("not a video")
    with pytest.raises(CameraError, match="is no video that OpenCV can read"):
        camera_of(str(tmp_path / "notes.mp4")).open()


def test_reading_before_opening_is_an_error() -> None:
    with pytest.raises(CameraError, match="open it first"):
        camera_of("clip.mp4").read()
