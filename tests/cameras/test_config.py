from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from actd.cameras.config import OpenCVConfig


@pytest.mark.parametrize(
    ("source", "kind", "path"),
    [
        (0, "device", "/dev/video0"),
        ("2", "device", "/dev/video2"),
        ("/dev/v4l/by-id/usb-cam", "device", "/dev/v4l/by-id/usb-cam"),
        ("clip.mp4", "file", "clip.mp4"),
        ("rtsp://cam:554/live", "url", "rtsp://cam:554/live"),
        ("http://127.0.0.1:8000/top", "url", "http://127.0.0.1:8000/top"),
    ],
)
def test_the_source_tells_its_kind(source: int | str, kind: str, path: str) -> None:
    config = OpenCVConfig(index_or_path=source)
    assert (config.kind, config.path) == (kind, path)


def test_lerobots_own_camera_map_is_accepted() -> None:
    config = OpenCVConfig.model_validate(
        {"type": "opencv", "index_or_path": 0, "width": 640, "height": 480, "fps": 30}
        | {"fourcc": "MJPG", "rotation": -90, "color_mode": "bgr", "warmup_s": 1}
    )
    assert (config.width, config.height, config.fps) == (640, 480, 30)


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("index_or_path", -1, "-1 is no device number"),
        ("index_or_path", " ", "give a device number, a path or a URL"),
        ("index_or_path", "ftp://cam/x", "ftp:// is not supported; use one of http://"),
        ("index_or_path", "rtsp://", "a URL without a host, or whose port is no number"),
        ("index_or_path", "http://cam:port/x", "write http://HOST:PORT/PATH in quotes"),
        ("index_or_path", "rtsp:/cam/s", "not a URL: begin it with one of http://"),
        ("fourcc", "MJPEG", "'MJPEG' is no pixel format"),
        ("backend", 700, "0 or 200"),
        ("rotation", 45, "0, 90, 180, 270 or -90"),
        ("color_mode", "grey", "'rgb' or 'bgr'"),
        ("width", 0, "greater than 0"),
        ("fps", -5, "greater than 0"),
        ("fourc", "MJPG", "Extra inputs"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(key: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenCVConfig.model_validate({"index_or_path": 0, key: value})
    (error,) = caught.value.errors()
    assert error["loc"] == (key,)
    assert says in error["msg"]


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://cam",
        "rtsp://cam:554",
        "rtsp://[fe80::1]:554/live",
        "http://me:needle%40%23%2F@cam:80/live?token=a%20b",
        "https://me:nee:dle@cam/",
    ],
)
def test_an_address_is_taken_as_it_is(source: str) -> None:
    config = OpenCVConfig(index_or_path=source)
    assert config.path == source
    assert "dle" not in repr(config)


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://me:nee#dle@cam:554/s",
        "rtsp://me:nee@dle@cam:554/s",
        "rtsp://me:nee/dle@cam:554/s",
        "rtsp://me:1/dle@cam:554/s",
        "rtsp://me:nee?dle@cam:554/s",
        "rtsp://me:nee%dle@cam:554/s",
        "rtsp://me:nee dle@cam:554/s",
        "rtsp://me:nee[dle@cam:554/s",
        "rtsp://me:needle@cam:99999/s",
        "rtsp://me:needle@/s",
        "rtsp://me:needle",
        "rtmp://me:needle@cam/s",
        "me:needle@cam/s",
        "rtsp:/me:needle@cam/s",
        "//me:needle@cam/s",
        "rtsp://me:needle192.0.2.10:554/s",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(source: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenCVConfig(index_or_path=source)
    (error,) = caught.value.errors(include_input=False, include_url=False, include_context=False)
    assert not any(part in error["msg"] for part in ("nee", "dle", "me:"))
    if source.startswith("rtsp://"):
        assert "percent-encode what is special in them: @ as %40, # as %23" in error["msg"]


@pytest.mark.parametrize(
    ("keys", "taken"),
    [
        ({"backend": 0}, {"backend": 0}),
        ({"backend": "V4L2", "fourcc": None}, {"backend": 200}),
        ({"color_mode": "RGB"}, {"color_mode": "rgb"}),
        ({"color_mode": "Bgr"}, {"color_mode": "bgr"}),
        ({"rotation": "ROTATE_90"}, {"rotation": 90}),
        ({"rotation": "NO_ROTATION"}, {"rotation": 0}),
    ],
)
def test_names_of_lerobots_command_line_are_taken(
    keys: dict[str, object], taken: dict[str, object]
) -> None:
    config = OpenCVConfig.model_validate({"index_or_path": 0, **keys})
    assert config.model_dump(include=set(taken)) == taken


def test_the_configuration_is_read_without_the_camera_library() -> None:
    code = "import sys, actd.cameras.make, actd.cameras.config; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
