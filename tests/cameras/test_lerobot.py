"""LeRobot 0.4.4's own image server, read by us and by LeRobot's own camera: the same image.

Needs an environment with LeRobot (scripts/make-lerobot-venv), named by ACTD_LEROBOT_PYTHON.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from actd.cameras.config import CameraConfig
from actd.cameras.make import make_camera
from actd.errors import CameraError
from tests.cameras.images import photo, scene
from tests.ports import free_ports

pytestmark = pytest.mark.lerobot

SIDE = Path(__file__).with_name("lerobot_side.py")


@pytest.fixture
def port(lerobot_python: str, tmp_path: Path) -> Iterator[int]:
    """Where LeRobot's server shows an image."""
    port = free_ports().state
    np.save(tmp_path / "image.npy", photo(scene(3)))
    command = [lerobot_python, str(SIDE), "serve", str(port), str(tmp_path / "image.npy")]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(command, env=environment) as server:
        yield port
        server.terminate()


def test_an_image_is_what_lerobot_makes_of_it(
    lerobot_python: str, port: int, tmp_path: Path
) -> None:
    config = {"type": "zmq", "server_address": "127.0.0.1", "port": port, "camera_name": "top"}
    camera = make_camera("top", CameraConfig.model_validate({**config, "timeout_s": 5}))
    deadline = time.monotonic() + 60
    with closing(camera):
        while True:
            try:
                camera.open()
                break
            except CameraError:  # it is still starting
                assert time.monotonic() < deadline
                time.sleep(0.2)
        ours = camera.read().data.astype(int)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    out = tmp_path / "theirs.npy"
    command = [lerobot_python, str(SIDE), "read", str(port), str(out)]
    subprocess.run(command, check=True, env=environment)
    theirs = np.load(out).astype(int)
    assert np.abs(ours - theirs).max() <= 2
    assert np.abs(ours - photo(scene(3))).mean() < 8
