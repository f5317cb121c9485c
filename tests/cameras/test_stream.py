from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from itertools import count

import cv2
import numpy as np
import pytest

from actd.cameras.base import Camera
from actd.cameras.config import OpenCVConfig
from actd.cameras.make import make_camera
from actd.errors import CameraError
from actd.sim.mjpeg import MjpegServer
from tests.background import repeated
from tests.cameras.images import HEIGHT, WIDTH, halves, jpeg, number_of, numbered
from tests.cameras.rtsp import RtspCamera


def camera_of(url: str, **settings: object) -> Camera:
    config = {"index_or_path": url, "timeout_s": 0.5, **settings}
    return make_camera("top", OpenCVConfig.model_validate(config))


def read_on(camera: Camera) -> None:
    """Read until it fails."""
    while True:
        camera.read()


@contextmanager
def publishing(server: MjpegServer, name: str, image: Callable[[int], bytes]) -> Iterator[None]:
    """Publish `image(0)`, `image(1)`, ... at some 100 Hz while the block runs."""
    numbers = count()
    with repeated(lambda: server.publish(name, image(next(numbers))), 0.01):
        yield


def burnt_in(number: int) -> bytes:
    return jpeg(numbered(number % 256))


def test_images_arrive_in_order_each_at_most_once(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"), width=WIDTH, height=HEIGHT)
    with publishing(server, "top", burnt_in):
        camera.open()
        frames = [camera.read() for _ in range(60)]
    camera.close()
    numbers = [number_of(f.data) for f in frames]
    assert numbers == sorted(set(numbers))
    times = [f.t_capture_ns for f in frames]
    assert times == sorted(set(times))
    assert [f.seq for f in frames] == list(range(1, 61))


def test_a_slow_reader_gets_the_newest_image(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"), timeout_s=2)
    with publishing(server, "top", lambda _: burnt_in(0)):
        camera.open()
    for number in range(1, 41):
        server.publish("top", burnt_in(number))
        time.sleep(0.005)
    time.sleep(0.2)
    first = number_of(camera.read().data)
    camera.close()
    assert first > 20


def test_two_cameras_of_one_server_do_not_mix(server: MjpegServer) -> None:
    red, blue = jpeg(halves((0, 0, 255), (0, 0, 255))), jpeg(halves((255, 0, 0), (255, 0, 0)))
    cameras = {0: camera_of(server.url("red")), 2: camera_of(server.url("blue"))}
    with (
        publishing(server, "red", lambda _: red),
        publishing(server, "blue", lambda _: blue),
    ):
        for channel, camera in cameras.items():
            camera.open()
            for _ in range(5):
                assert camera.read().data[60, 80].argmax() == channel
            camera.close()


def test_a_change_of_size_is_an_error(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"), width=WIDTH, height=HEIGHT)
    with (
        publishing(server, "top", lambda _: jpeg(numbered(0, 320, 240))),
        pytest.raises(CameraError, match=r"camera top .*: asked 160x120, got 320x240"),
    ):
        camera.open()


def test_a_torn_image_is_left_out(server: MjpegServer) -> None:
    whole = burnt_in(5)
    camera = camera_of(server.url("top"), width=WIDTH, height=HEIGHT)
    with publishing(server, "top", lambda _: whole):
        camera.open()
    with publishing(server, "top", lambda n: whole if n % 2 else b"\xff\xd8 torn"):
        assert {number_of(camera.read().data) for _ in range(10)} == {5}
    camera.close()


def test_images_that_came_in_part_are_left_out_and_counted(server: MjpegServer) -> None:
    """Else the decoder fills the lower part with grey, or with the image before."""

    def some_cut(number: int) -> bytes:
        whole = burnt_in(number)
        return whole[: int(0.6 * len(whole))] if number % 3 == 2 else whole

    camera = camera_of(server.url("top"), width=WIDTH, height=HEIGHT, color_mode="bgr")
    with publishing(server, "top", some_cut):
        camera.open()
        frames = [camera.read() for _ in range(30)]
    camera.close()
    for frame in frames:
        whole = np.frombuffer(burnt_in(number_of(frame.data)), np.uint8)
        assert np.array_equal(frame.data, cv2.imdecode(whole, cv2.IMREAD_COLOR))
    assert sum(frame.damaged for frame in frames) >= 5


def test_a_camera_that_never_marks_the_end_of_an_image_is_used(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"))
    with publishing(server, "top", lambda n: burnt_in(n).removesuffix(b"\xff\xd9")):
        camera.open()
        frames = [camera.read() for _ in range(10)]
    camera.close()
    assert sum(frame.damaged for frame in frames) == 0


def test_what_stands_behind_an_image_does_not_make_it_damaged(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"))
    with publishing(server, "top", lambda n: burnt_in(n) + bytes(n % 900)):
        camera.open()
        frames = [camera.read() for _ in range(10)]
    camera.close()
    assert sum(frame.damaged for frame in frames) == 0


def test_only_damaged_images_are_an_error_that_says_so(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"))
    with publishing(server, "top", burnt_in):
        camera.open()
    with (
        publishing(server, "top", lambda n: burnt_in(n)[:-40]),
        pytest.raises(CameraError, match=r"no image for 0.5 s but \d+ that came damaged; see"),
    ):
        read_on(camera)
    camera.close()


def test_a_server_that_stops_is_an_error_and_opening_again_works() -> None:
    server = MjpegServer()
    camera = camera_of(server.url("top"))
    with publishing(server, "top", burnt_in):
        camera.open()
        camera.read()
        server.close()
        with pytest.raises(CameraError, match="see that its server runs"):
            read_on(camera)
    with pytest.raises(CameraError, match=r"cannot reach 127.0.0.1 port \d+ \(Connection refused"):
        camera.open()
    with (
        MjpegServer(port=server.port) as again,
        publishing(again, "top", burnt_in),
    ):
        camera.open()
        assert camera.read().data.shape == (HEIGHT, WIDTH, 3)
        camera.close()


def test_a_server_that_falls_silent_is_an_error(server: MjpegServer) -> None:
    camera = camera_of(server.url("top"))
    with publishing(server, "top", burnt_in):
        camera.open()
    with pytest.raises(CameraError, match=r"no image for 0.5 s|stopped delivering"):
        read_on(camera)
    camera.close()


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_a_server_that_never_answers_is_an_error(scheme: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as mute:
        camera = camera_of(f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/x")
        with pytest.raises(CameraError, match="not with a video that can be read"):
            camera.open()


def test_an_unknown_host_is_an_error() -> None:
    camera = camera_of("http://no-such-camera.invalid:8000/x")
    with pytest.raises(CameraError, match=r"cannot reach no-such-camera.invalid port 8000"):
        camera.open()


def test_a_viewer_never_holds_up_the_publisher(server: MjpegServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as viewer:
        viewer.sendall(b"GET /top HTTP/1.1\r\nHost: x\r\n\r\n")
        big = b"\xff" * 1_000_000
        for _ in range(200):  # far more than any socket buffer holds, and nobody reads it
            server.publish("top", big)


def test_a_percent_encoded_password_opens_an_rtsp_camera_and_no_other_does() -> None:
    source = RtspCamera(burnt_in, login="cam:p@s/s#w%rd")
    try:
        for password, opens in (("p%40s%2Fs%23w%25rd", True), ("wrong", False)):
            camera = camera_of(source.url.replace("://", f"://cam:{password}@"), timeout_s=2)
            with nullcontext() if opens else pytest.raises(CameraError, match="user and password"):
                camera.open()
                assert camera.read().data.shape == (HEIGHT, WIDTH, 3)
            camera.close()
    finally:
        source.close()


def test_an_rtsp_camera_is_read_and_its_end_is_an_error() -> None:
    source = RtspCamera(burnt_in)
    camera = camera_of(source.url, width=WIDTH, height=HEIGHT, timeout_s=2)
    try:
        camera.open()
        numbers = [number_of(camera.read().data) for _ in range(20)]
    finally:
        source.close()
    assert numbers == sorted(set(numbers))
    with pytest.raises(CameraError, match="see that its server runs"):
        read_on(camera)
    camera.close()
