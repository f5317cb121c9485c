"""A robot's images on their way to the daemon, read by the daemon's own camera."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig
from actd.cameras.make import make_camera
from actd.drive import image_server, lerobot_cameras
from actd.drive.image_server import ImageServer
from actd.errors import CameraError, LinkError
from tests.cameras.images import number_of, numbered, photo, scene
from tests.ports import free_ports
from tests.runtime.conftest import wait_until

HOST = "127.0.0.1"


@pytest.fixture
def port() -> int:
    return free_ports().state


@pytest.fixture
def server(port: int) -> Iterator[ImageServer]:
    with closing(ImageServer(HOST, port)) as server:
        yield server
    assert "images" not in {thread.name for thread in threading.enumerate()}
    ImageServer(HOST, port).close()  # the port is free again


def camera_at(port: int, name: str, timeout_s: float = 2.0) -> Camera:
    given = {"type": "zmq", "server_address": HOST, "port": port, "camera_name": name}
    return make_camera(name, CameraConfig.model_validate({**given, "timeout_s": timeout_s}))


class Source(threading.Thread):
    """Puts images of some cameras at a rate, until the block ends: numbered ones, or `image`."""

    def __init__(self, server: ImageServer, image: Any = None, **rates_hz: float) -> None:
        super().__init__()
        self._server, self._image, self._rates_hz = server, image, rates_hz
        self._over = threading.Event()

    def __enter__(self) -> Source:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        began_s = time.monotonic()
        numbers = dict.fromkeys(self._rates_hz, 0)
        while not self._over.wait(0.002):
            for name, rate_hz in self._rates_hz.items():
                if (number := int((time.monotonic() - began_s) * rate_hz)) > numbers[name]:
                    numbers[name] = number
                    shown = numbered(number % 256) if self._image is None else self._image
                    self._server.put(name, shown)


def test_the_daemons_camera_sees_what_the_robot_saw(server: ImageServer, port: int) -> None:
    seen = photo(scene(3))
    with closing(camera_at(port, "front")) as camera, Source(server, seen, front=30):
        camera.open()
        got = camera.read().data
    assert got.shape == seen.shape
    # Colours in their places: red and blue changed would be dozens apart.
    assert np.abs(got.astype(int) - seen).mean() < 5


def test_every_image_of_every_camera_comes_once_and_in_order(
    server: ImageServer, port: int
) -> None:
    """Though both come in one stream, of which a reader keeps the newest message only."""
    with (
        Source(server, front=10, wrist=30),
        closing(camera_at(port, "front")) as front,
        closing(camera_at(port, "wrist")) as wrist,
    ):
        for camera, count in ((front, 15), (wrist, 30)):
            camera.open()
            numbers = [number_of(camera.read().data) for _ in range(count)]
            assert numbers == sorted(set(numbers))
            # A busy computer may cost a few; a reader that waits for the other camera costs many.
            assert numbers[-1] - numbers[0] < 1.5 * count


def test_a_camera_that_gives_no_more_is_not_seen_by_who_comes_later(
    server: ImageServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_server, "_KEPT_NS", 200_000_000)
    server.put("front", numbered(1))
    time.sleep(0.4)
    with (
        Source(server, wrist=30),
        closing(camera_at(port, "front", timeout_s=0.5)) as camera,
        pytest.raises(CameraError, match="no image of front, its cameras are wrist"),
    ):
        camera.open()


def test_images_are_copied_before_their_driver_writes_to_them_again(server: ImageServer) -> None:
    image = numbered(7)
    with server._changed:  # the thread that encodes waits meanwhile
        server.put("front", image)
        image[:] = 0
        assert number_of(server._waiting["front"][0]) == 7


@pytest.mark.parametrize(
    ("image", "told"),
    [
        (None, "an image of NoneType"),
        (np.zeros((2, 2), np.uint8), r"an image of uint8, \(2, 2\); uint8, \(height, width, 3\)"),
        (np.zeros((2, 2, 3), np.float32), "an image of float32"),
        (np.zeros((0, 2, 3), np.uint8), r"an image of uint8, \(0, 2, 3\)"),
        (np.zeros((2, 2, 4), np.uint8), r"an image of uint8, \(2, 2, 4\)"),
    ],
)
def test_what_is_no_image_is_refused(server: ImageServer, image: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        server.put("front", image)


def test_a_port_in_use_is_one_line(server: ImageServer, port: int) -> None:
    with pytest.raises(LinkError) as error:
        ImageServer(HOST, port)
    assert "port in use" in str(error.value)
    assert str(error.value).endswith("stop it, or give another --image-server")


@pytest.mark.parametrize("host", ["8.8.8.8", "nosuchhost.invalid"])
def test_an_address_of_another_computer_is_one_line(host: str, port: int) -> None:
    with pytest.raises(LinkError) as error:
        ImageServer(host, port)
    assert str(error.value).startswith(f"tcp://{host}:{port}: cannot listen here (")
    assert str(error.value).endswith("); see that it is an address of this computer")


def test_messages_have_what_is_fresh() -> None:
    taken = {"old": image_server._Taken(9.0, 1), "new": image_server._Taken(3.0, 3)}
    newest = {name: image_server._Jpeg(name.upper(), when) for name, when in taken.items()}
    message = json.loads(image_server._message(newest, 2))
    assert message == {"timestamps": {"new": 3.0}, "images": {"new": "NEW"}}


class _Flaky:
    """A camera with LeRobot's methods: connects at the `connects`th try, then gives `images`, then
    fails for ever or, where `hangs`, does not return.
    """

    def __init__(self, *, images: int, connects: int = 1, color_mode: str = "rgb") -> None:
        self.color_mode = color_mode
        self.tries = self.closed = 0
        self._connects, self._images = connects, images
        self.hangs = threading.Event()
        self.hangs.set()

    def connect(self) -> None:
        self.tries += 1
        if self.tries % self._connects:
            raise ConnectionError("Failed to open\n/dev/video0")
        self._left = self._images

    def async_read(self, timeout_ms: float) -> Any:
        assert timeout_ms > 0
        time.sleep(0.01)
        self.hangs.wait(10)
        self._left -= 1
        if self._left < 0:
            raise TimeoutError("no frame")
        return np.full((48, 64, 3), (200, 100, 20), np.uint8)

    def disconnect(self) -> None:
        self.closed += 1


def test_a_camera_that_fails_is_said_once_and_connected_again(
    server: ImageServer, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lerobot_cameras, "_AGAIN_S", 0.05)
    said: list[str] = []
    flaky = _Flaky(images=20, connects=2)
    with (
        lerobot_cameras.reading({"front": flaky}, server, said.append),
        closing(camera_at(port, "front")) as camera,
    ):
        camera.open()
        wait_until(lambda: flaky.tries >= 6 and len(said) >= 2, "the camera to fail and to work")
    assert said[0].startswith("camera front: ConnectionError: Failed to open /dev/video0; tried")
    assert said[1:] == ["camera front: works again"]  # the next failures came too soon to be said
    assert flaky.closed == flaky.tries


@pytest.mark.parametrize(("mode", "rgb"), [("rgb", (200, 100, 20)), ("bgr", (20, 100, 200))])
def test_the_order_of_colours_is_the_cameras(
    server: ImageServer, port: int, mode: str, rgb: tuple[int, int, int]
) -> None:
    source = _Flaky(images=1000, color_mode=mode)
    with (
        lerobot_cameras.reading({"front": source}, server, print),
        closing(camera_at(port, "front")) as camera,
    ):
        camera.open()
        assert np.abs(camera.read().data[20, 30].astype(int) - rgb).max() < 6


def test_a_camera_whose_driver_hangs_is_left_and_said(
    server: ImageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lerobot_cameras, "_CLOSE_S", 0.2)
    said: list[str] = []
    stuck = _Flaky(images=1000)
    with lerobot_cameras.reading({"front": stuck}, server, said.append):
        stuck.hangs.clear()
    assert said == ["camera front: close: its driver does not return"]
    stuck.hangs.set()
