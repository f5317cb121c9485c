"""A server that publishes as LeRobot's image server does, and one that does not."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np
import pytest
import zmq
from numpy.typing import NDArray

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig
from actd.cameras.make import make_camera
from actd.errors import CameraError
from tests.cameras.images import number_of, numbered
from tests.ports import free_ports


def encoded(rgb: NDArray[np.uint8]) -> str:
    """As LeRobot's server does it: red-green-blue, given to an encoder that takes it for BGR."""
    return base64.b64encode(cv2.imencode(".jpg", rgb)[1]).decode()


def message(number: int, **images: str) -> bytes:
    stamps = dict.fromkeys(images, 1.7e9 + number / 30)
    return json.dumps({"timestamps": stamps, "images": images}).encode()


def counting(number: int) -> bytes:
    """Two cameras, of which `top` shows the number."""
    shown = encoded(numbered(number % 256))
    return message(number, wrist=encoded(numbered(255)), top=shown)


@contextmanager
def server(make: Callable[[int], bytes]) -> Iterator[int]:
    """Publishes `make(number)` a hundred times a second; gives its port."""
    port = free_ports().state
    running = True

    def run() -> None:
        context: zmq.Context[Any] = zmq.Context()
        socket = context.socket(zmq.PUB)
        socket.bind(f"tcp://127.0.0.1:{port}")
        number = 0
        while running:
            number += 1
            socket.send(make(number))
            time.sleep(0.01)
        context.destroy(linger=0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield port
    finally:
        running = False
        thread.join()


def camera_at(port: int, **settings: object) -> Camera:
    base = {"type": "zmq", "server_address": "127.0.0.1", "port": port, "camera_name": "top"}
    return make_camera("head", CameraConfig.model_validate({**base, "timeout_ms": 700, **settings}))


@contextmanager
def opened(port: int, **settings: object) -> Iterator[Camera]:
    camera = camera_at(port, **settings)
    try:
        camera.open()
        yield camera
    finally:
        camera.close()
        camera.close()


def open_and_read(camera: Camera) -> None:
    camera.open()
    camera.read()


def read_on(camera: Camera) -> None:
    """Read for as long as it delivers."""
    while True:
        camera.read()


def test_the_named_cameras_newest_images_come_in_order() -> None:
    with server(counting) as port, opened(port, width=160, height=120) as camera:
        numbers = [number_of(camera.read().data) for _ in range(5)]
        time.sleep(0.3)
        latest = camera.read()
        assert number_of(latest.data) >= numbers[-1] + 10  # nothing waits in a queue
        assert 0 <= time.monotonic_ns() - latest.t_capture_ns < 1e9
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("swapped", [True, False])
def test_colours_are_those_that_the_server_saw(swapped: bool) -> None:
    rgb = np.full((120, 160, 3), (200, 100, 20), np.uint8)
    sent = encoded(rgb if swapped else rgb[..., ::-1].copy())
    with (
        server(lambda number: message(number, top=sent)) as port,
        opened(port, swapped_colors=swapped) as camera,
    ):
        assert np.abs(camera.read().data[60, 80].astype(int) - (200, 100, 20)).max() < 6


def test_a_server_with_one_camera_needs_no_name() -> None:
    with (
        server(lambda number: message(number, any=encoded(numbered(3)))) as port,
        opened(port, camera_name=None) as camera,
    ):
        assert number_of(camera.read().data) == 3


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (counting, "side", "no image of side, its cameras are top, wrist, for 0.7 s; see that"),
        (counting, None, "no image of one of several: set camera_name, its cameras are top, wrist"),
        (lambda _: message(7, top=encoded(numbered(7))), "top", "the same image again and again"),
        (lambda _: b"\xff{", "top", "damaged messages for 0.7 s"),
        (lambda _: b"[" * 100_000, "top", "damaged messages for 0.7 s"),
        (lambda _: b'{"images": [1]}', "top", "damaged messages for 0.7 s"),
        (lambda _: b'{"images": {"top": 5}}', "top", "damaged messages for 0.7 s"),
        (lambda _: b'{"images": {"top": "%%"}}', "top", "damaged messages for 0.7 s"),
        (lambda _: b'{"images": {"top": "AAAA"}}', "top", "damaged messages for 0.7 s"),
    ],
)
def test_a_server_without_new_images_of_it_is_an_error_in_time(
    make: Callable[[int], bytes], name: str | None, words: str
) -> None:
    """An old image, or that of another camera, is never given in its place."""
    with server(make) as port:
        camera = camera_at(port, camera_name=name)
        begin = time.monotonic()
        with pytest.raises(CameraError) as caught:
            open_and_read(camera)
        camera.close()
        assert time.monotonic() - begin < 5
        assert words in str(caught.value)


def only_what_is_new(number: int) -> bytes:
    """As the server of LeRobot 0.6: a message holds the cameras that have a new image, or none."""
    shown = encoded(numbered(number % 256))
    return message(number, **({}, {"top": shown}, {"wrist": shown})[number % 3])


def test_a_message_may_lack_a_camera() -> None:
    with server(only_what_is_new) as port, opened(port) as camera:
        assert len({number_of(camera.read().data) % 3 for _ in range(5)}) == 1


def test_two_cameras_in_turns_are_not_taken_for_one() -> None:
    told = "one of several: set camera_name, its cameras are top, wrist"
    with server(only_what_is_new) as port, pytest.raises(CameraError, match=told):
        read_fifty(port)


def read_fifty(port: int) -> None:
    with opened(port, camera_name=None) as camera:
        for _ in range(50):
            camera.read()


def test_images_that_came_in_part_are_counted() -> None:
    def every_third_cut(number: int) -> bytes:
        text = encoded(numbered(number % 256))
        return message(number, top=text[: len(text) // 8 * 4] if number % 3 == 0 else text)

    with server(every_third_cut) as port, opened(port) as camera:
        frames = [camera.read() for _ in range(30)]
        assert all(number_of(frame.data) % 3 for frame in frames)
        assert sum(frame.damaged for frame in frames) >= 5


def test_a_server_that_is_away_is_said_with_the_reason() -> None:
    with pytest.raises(
        CameraError, match=r"cannot reach 127\.0\.0\.1 port \d+ \(Connection refused"
    ):
        camera_at(free_ports().state).open()


def test_a_server_that_ends_and_comes_back() -> None:
    with server(counting) as port:
        camera = camera_at(port)
        camera.open()
    with pytest.raises(CameraError, match=r"no message for 0\.7 s"):
        read_on(camera)
    camera.close()
    with server(counting) as port, opened(port) as camera:
        assert camera.read().data.shape == (120, 160, 3)
