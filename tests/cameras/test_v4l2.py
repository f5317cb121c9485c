"""What is plugged in, asked by the real calls of a driver that is not there; see fake_v4l2."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.cameras.v4l2 import fourcc_text
from actd.holders import holders
from tests.cameras.images import number_of, numbered
from tests.fake_v4l2 import METADATA, FakeV4L2

LIST = """
import json
from actd.cameras.listing import connected_cameras
print(json.dumps([
    {
        "path": c.label, "name": c.name, "node": str(c.node), "port": c.port, "modes": c.modes,
        "held": [h.name for h in c.holders], "problem": c.problem, "usable": c.is_usable,
    }
    for c in connected_cameras().cameras
]))
"""
READ = """
import sys
from actd.cameras.config import CameraConfig
from actd.cameras.make import make_camera
config = CameraConfig.model_validate({"index_or_path": sys.argv[1], "warmup_s": 0, "fps": 30})
camera = make_camera("top", config)
camera.open()
frames = [camera.read() for _ in range(3)]
camera.close()
print([frame.t_capture_ns for frame in frames], frames[-1].data.shape)
frames[-1].data.tofile(sys.argv[2])
"""


def listed(fake: FakeV4L2) -> list[dict[str, Any]]:
    done = fake.run("-c", LIST)
    assert done.returncode == 0, done.stderr
    cameras: list[dict[str, Any]] = json.loads(done.stdout)
    return cameras


def test_a_camera_is_told_with_its_modes_and_a_lasting_path(fake_v4l2: FakeV4L2) -> None:
    fake_v4l2.add(numbered(1), port="1.2", by_id="046d_C920_8A31")
    fake_v4l2.add(numbered(1), port="1.2", caps=METADATA)
    (camera,) = listed(fake_v4l2)
    assert camera == {
        "path": "/dev/v4l/by-id/usb-046d_C920_8A31-video-index0",
        "name": "HD Pro Webcam C920",
        "node": "/dev/video0",
        "port": "usb-0000:00:14.0-1.2",
        "modes": [
            ["MJPG", 640, 480, [30.0]],
            ["MJPG", 320, 240, [30.0]],
            ["YUYV", 640, 480, [30.0]],
        ],
        "held": [],
        "problem": "",
        "usable": True,
    }


def test_cameras_of_one_model_without_serials_go_by_their_ports(fake_v4l2: FakeV4L2) -> None:
    """They have one link in by-id between them, which leads to the last one plugged in."""
    for port in ("1", "2"):
        fake_v4l2.add(numbered(1), card="USB Camera", port=port, by_id="Generic_USB_Camera")
    fake_v4l2.add(numbered(1), card="Other", port="3")
    paths = [camera["path"].rpartition("/")[2] for camera in listed(fake_v4l2)]
    assert paths == [
        "pci-0000:00:14.0-usb-0:1:1.0-video-video0",
        "pci-0000:00:14.0-usb-0:2:1.0-video-video1",
        "pci-0000:00:14.0-usb-0:3:1.0-video-video2",
    ]


def test_of_a_range_the_usual_sizes_and_rates_are_named(fake_v4l2: FakeV4L2) -> None:
    """As a Raspberry Pi's camera tells its own."""
    fake_v4l2.add(numbered(1), state="range", modes=["YUYV 1640 1232 40"])
    (camera,) = listed(fake_v4l2)
    rates = [40.0, 30.0, 25.0, 20.0, 15.0, 10.0, 1.0]
    sizes = [(32, 32), (320, 240), (640, 480), (800, 600), (1280, 720), (1280, 960), (1640, 1232)]
    assert camera["modes"] == [["YUYV", width, height, rates] for width, height in sizes]


def test_a_node_without_colour_is_known(fake_v4l2: FakeV4L2) -> None:
    fake_v4l2.add(numbered(1), card="RealSense D435", modes=["GREY 640 480 30"])
    fake_v4l2.add(numbered(1), card="RealSense D435", modes=["YUYV 640 480 30"])
    assert [camera["usable"] for camera in listed(fake_v4l2)] == [False, True]


def test_who_has_a_camera_open_is_told(fake_v4l2: FakeV4L2) -> None:
    node = fake_v4l2.add(numbered(1))
    code = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, node], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        (name,) = listed(fake_v4l2)[0]["held"]
        assert name.startswith(f"{sys.executable} -c import"[:60])
        (holder,) = holders([node, node.with_name("gone")])[node]
        assert (holder.pid, holder.name) == (other.pid, name)
        other.communicate()
    assert listed(fake_v4l2)[0]["held"] == []


def test_a_forbidden_camera_is_listed_with_the_reason(fake_v4l2: FakeV4L2) -> None:
    fake_v4l2.add(numbered(1), state="forbidden")
    (camera,) = listed(fake_v4l2)
    assert camera["problem"].startswith("permission denied; add the user to the group")
    assert camera["name"] == "video0"


def test_frames_come_through_opencvs_own_code(fake_v4l2: FakeV4L2, tmp_path: Path) -> None:
    fake_v4l2.add(numbered(37, 640, 480), by_id="046d_C920_8A31")
    out = tmp_path / "frame"
    path = "/dev/v4l/by-id/usb-046d_C920_8A31-video-index0"
    done = fake_v4l2.run("-c", READ, path, str(out))
    assert done.returncode == 0, done.stderr
    stamps, _, shape = done.stdout.strip().partition("] ")
    times = json.loads(f"{stamps}]")
    assert shape == "(480, 640, 3)"
    assert number_of(np.fromfile(out, np.uint8).reshape(480, 640, 3)) == 37
    assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("0", "camera top (/dev/video0): cannot be opened as a camera: another program may hold"),
        ("7", "camera top (/dev/video7): no such device; cameras here: /dev/video0; plug it in"),
    ],
)
def test_a_busy_and_a_missing_camera(fake_v4l2: FakeV4L2, path: str, words: str) -> None:
    fake_v4l2.add(numbered(1), state="busy")
    done = fake_v4l2.run("-c", READ, path, "none")
    assert words in done.stderr


def test_a_pixel_format_is_four_letters() -> None:
    assert fourcc_text(int.from_bytes(b"MJPG", "little")) == "MJPG"
    assert fourcc_text(int.from_bytes(b"Y16 ", "little") | 1 << 31) == "Y16"
