"""A user's own camera: one small file in an installed package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from pydantic import ValidationError

from actd.cameras.base import Camera
from actd.cameras.config import CameraConfig, PluginConfig
from actd.cameras.make import make_camera
from actd.cameras.plugins import plugin_names
from actd.codec import decode, encode
from actd.errors import CameraError
from actd.runtime.preflight import unplayable
from tests.cameras.images import number_of, numbered
from tests.config.test_config import GOOD as GOOD_FILE
from tests.config.test_config import read

Install = Callable[[str], None]

GOOD = """
import time
import numpy as np

class Camera:
    def __init__(self, width, height, fps, shade=0):
        self.size = (height or 48, width or 64, 3)
        self.shade = shade

    def open(self):
        self.is_open = True

    def read(self):
        image = np.full(self.size, (self.shade, 10, 20), np.uint8)
        return image, time.monotonic_ns() - 1_000_000

    def close(self):
        self.is_open = False
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package `acme_camera` with the given code, which reads cameras of type acme."""

    def install(code: str) -> None:
        site = tmp_path / "site"
        about = site / "acme_camera-1.0.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-camera\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text("[actd.cameras]\nacme = acme_camera:Camera\n")
        (site / "acme_camera.py").write_text(code)
        monkeypatch.syspath_prepend(site)
        monkeypatch.delitem(sys.modules, "acme_camera", raising=False)

    return install


def make(**settings: object) -> Camera:
    config = CameraConfig.model_validate({"type": "acme", "warmup_s": 0, **settings})
    return make_camera("top", config)


def test_a_class_with_three_methods_is_a_camera(install: Install) -> None:
    install(GOOD)
    assert plugin_names() == ("acme",)
    camera = make(options={"shade": 200}, width=32, height=64, rotation=90, resize=[16, 8])
    camera.open()
    frame = camera.read()
    camera.close()
    camera.close()
    assert frame.data.shape == (8, 16, 3)
    assert frame.data[0, 0].tolist() == [200, 10, 20]
    assert (frame.seq, frame.damaged) == (1, 0)


def test_an_image_alone_is_stamped_on_arrival(install: Install) -> None:
    install(GOOD.replace(", time.monotonic_ns() - 1_000_000", ""))
    camera = make()
    camera.open()
    assert camera.read().t_capture_ns > 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "import time",
            "import nothing_such",
            "cannot be imported (No module named 'nothing_such')",
        ),
        ("def read", "def get", "acme_camera:Camera has no read; mend the package acme-camera"),
        ("class Camera", "Camera = 5\nclass Other", "acme_camera:Camera is no class"),
        ("shade=0", "shade", "TypeError: Camera.__init__() missing 1 required"),
        ("self.is_open = True", "raise OSError('unplugged')", "OSError: unplugged; see the"),
        ("return image, ", "return image[..., 0], ", "read gave ndarray (48, 64); it must give"),
        ("return image, ", "return None, ", "read gave NoneType ; it must give an array"),
        ("- 1_000_000", "+ 10**10", "read gave the capture time"),
        ("time.monotonic_ns()", "time.time()", "read gave the capture time"),
        (
            "return image,",
            "raise RuntimeError('a\\nb'); ",
            "RuntimeError: a b; see the documentation",
        ),
    ],
)
def test_what_a_plugin_does_wrong_is_one_line(
    install: Install, old: str, new: str, words: str
) -> None:
    assert old in GOOD
    install(GOOD.replace(old, new, 1))
    with pytest.raises(CameraError) as caught:
        make().open()
    assert str(caught.value).startswith("camera top (acme): ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_refused(install: Install) -> None:
    install(GOOD.replace("height or 48", "48"))
    with pytest.raises(CameraError, match="asked 64x96, got 64x48"):
        make(width=64, height=96).open()


def test_its_options_are_data_and_never_shown(install: Install) -> None:
    install(GOOD)
    with pytest.raises(ValidationError, match="options"):
        make(options={"shade": object()})
    config = CameraConfig.model_validate({"type": "acme", "options": {"token": "needle"}})
    assert isinstance(config, PluginConfig)
    assert "needle" not in repr(config)
    assert "needle" not in config.path


def test_a_type_that_nothing_reads_names_those_that_are_read(install: Install) -> None:
    install(GOOD)
    with pytest.raises(ValidationError, match=r"'acne' is not known, only opencv, .*zmq, acme;"):
        CameraConfig.model_validate({"type": "acne"})


def test_the_plugin_of_the_documentation(install: Install, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs/cameras.md").read_text("utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    install(f"{code}\nCamera = FolderCamera\n")
    folder = tmp_path / "images"
    with pytest.raises(CameraError, match="images is no folder; see"):
        make(options={"folder": str(folder)}).open()
    folder.mkdir()
    camera = make(options={"folder": str(folder)}, fps=1000)
    with pytest.raises(CameraError, match="TimeoutError: no new image"):
        camera.open()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), numbered(number))
        camera.open() if number == 0 else None
        assert number == 0 or number_of(camera.read().data) == number
    camera.close()


def test_what_is_known_before_the_start_is_said(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(GOOD)
    monkeypatch.setitem(sys.modules, "pyrealsense2", None)
    cameras = """
  top: {type: acme, options: {shade: 3}, width: 64, height: 48}
  side: {type: acme, options: {shades: [needle]}, width: 64, height: 48}
  wrist: {type: intelrealsense, serial_number_or_name: "1", width: 64, height: 48}
"""
    lines = list(unplayable(read(tmp_path, GOOD_FILE.partition("  top:")[0] + cameras)))
    assert len(lines) == 2
    assert lines[0].startswith("camera side (acme): TypeError: Camera.__init__() got an unexpected")
    assert lines[1].startswith("camera wrist (RealSense 1): the library pyrealsense2 cannot be")
    assert "needle" not in "".join(lines)


def test_a_process_is_told_its_camera_whole(install: Install) -> None:
    """Of whatever type it is."""
    install(GOOD)
    for config in (
        {"type": "acme", "options": {"shade": 3, "deep": {"list": [1.5, None, "x"]}}},
        {"type": "zmq", "server_address": "robot", "timeout_ms": 500},
        {"type": "intelrealsense", "serial_number_or_name": "0123", "fps": 30},
    ):
        told = CameraConfig.model_validate(config)
        data = json.loads(json.dumps(encode(told)))
        assert decode(CameraConfig, data) == told
        assert type(told) is not CameraConfig


def test_reading_a_configuration_imports_no_plugin(install: Install) -> None:
    install("raise SystemExit('imported')")
    assert CameraConfig.model_validate({"type": "acme"}).type == "acme"
