"""Cameras in a deployment file: what people write there, and what they are told."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from actd.cameras.config import CameraConfig
from actd.config.writing import plain
from actd.redaction import redact
from tests.config.test_config import GOOD, mistakes, read

HEAD = "actd.yaml:8:23 cameras.top.index_or_path: "


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "'rtsp://me:nee#dle@192.0.2.10:554/s'",
            "percent-encode what is special in them: @ as %40",
        ),
        (
            "'rtsp://me:nee@dle@192.0.2.10:554/s'",
            "percent-encode what is special in them: @ as %40",
        ),
        (
            "'rtsp://me:nee/dle@192.0.2.10:554/s'",
            "percent-encode what is special in them: @ as %40",
        ),
        (
            "'rtsp://me:nee%dle@192.0.2.10:554/s'",
            "percent-encode what is special in them: @ as %40",
        ),
        ("'rtsp://me:needle@192.0.2.10:99999/s'", "whose port is no number from 1 to 65535"),
        ("'rtmp://me:needle@192.0.2.10:554/s'", "rtmp:// is not supported; use one of http://"),
    ],
)
def test_a_wrong_address_is_one_line_without_its_password(
    tmp_path: Path, source: str, words: str
) -> None:
    (line,) = mistakes(tmp_path, GOOD.replace("index_or_path: 0", f"index_or_path: {source}"))
    assert line.startswith(HEAD)
    assert words in line
    assert not any(part in line for part in ("nee", "dle", "me:"))
    assert redact(line) == line  # what to write is not taken for a secret


@pytest.mark.parametrize(
    "camera",
    [
        '{type: intelrealsense, serial_number_or_name: "0123", width: 64, height: 48, fps: 30, '
        "color_mode: RGB, color_format: bgr8, rotation: NO_ROTATION, use_depth: false}",
        "{type: zmq, server_address: 127.0.0.1, port: 5555, camera_name: top, timeout_ms: 5000, "
        "width: 64, height: 48}",
        "{type: opencv, index_or_path: /dev/video2, width: 64, height: 48, fps: 30, backend: 200}",
        "{index_or_path: 2, width: 64, height: 48}",
    ],
)
def test_cameras_of_a_lerobot_command_are_taken_as_they_are(tmp_path: Path, camera: str) -> None:
    config = read(tmp_path, with_camera(camera)).cameras["top"]
    assert type(config).__name__ in ("OpenCVConfig", "RealSenseConfig", "ZmqConfig")
    again = CameraConfig.model_validate(config.model_dump(mode="json"))
    assert again == config


@pytest.mark.parametrize(
    ("camera", "key", "words"),
    [
        ("{type: reachy2_camera, name: a}", "top", "'reachy2_camera' is not known, only opencv,"),
        ("{type: [a]}", "top", "type: \"['a']\" is not known"),
        ("{type: intelrealsense}", "top.serial_number_or_name", "missing: its serial number in"),
        ("{type: intelrealsense, serial_number_or_name: 0123}", "top.serial", "valid string"),
        (
            '{type: intelrealsense, serial_number_or_name: "1", use_depth: true}',
            "top",
            "only its colour images are read; set use_rgb: true, use_depth: false",
        ),
        ("{type: zmq}", "top.server_address", "missing: its host name or address"),
        ("{type: zmq, server_address: a, prot: 1}", "top.prot", "unknown key (did you mean port?)"),
        ("{type: zmq, server_address: 'me:nee@dle'}", "top.server_address", "not a host; give its"),
        ("{type: zmq, server_address: a, timeout_ms: x}", "top", "timeout_ms: found 'x'; give"),
        (
            "{type: zmq, server_address: a, timeout_ms: 0}",
            "top",
            "timeout_ms: found 0; give timeout_s",
        ),
        ("{type: opencv, server_address: a}", "top.index_or_path", "missing: device number or"),
    ],
)
def test_each_type_of_camera_has_its_own_mistakes(
    tmp_path: Path, camera: str, key: str, words: str
) -> None:
    line = mistakes(tmp_path, with_camera(camera))[0]
    assert f" cameras.{key}" in line
    assert words in line
    assert "dle" not in line.replace("handle", "")


def test_a_camera_may_have_any_name(tmp_path: Path) -> None:
    names = ["0", "on", "opencv", "zmq", "cam one", "å"]
    size = "index_or_path: rtsp://cam/{}, width: 64, height: 48"
    lines = [
        f"  {plain(name)}: {{type: opencv, {size.format(number)}}}\n"
        for number, name in enumerate(names)
    ]
    text = GOOD.partition("  top:")[0] + "".join(lines)
    assert list(read(tmp_path, text).cameras) == names
    wrong = text.replace("rtsp://cam/2", "rtsp://me:nee@dle@cam/2").replace(
        "64, height", "0, height"
    )
    assert all("dle" not in line for line in mistakes(tmp_path, wrong))


def with_camera(camera: str) -> str:
    """A deployment with one camera."""
    return f"{GOOD.partition('  top:')[0]}  top: {camera}\n"


def two(front: str, wrist: str) -> str:
    """A deployment with two cameras."""
    line = "  {}: {{type: opencv, index_or_path: {}, width: 64, height: 48, fps: 30}}\n"
    return GOOD.partition("  top:")[0] + line.format("front", front) + line.format("wrist", wrist)


def test_two_cameras_on_one_device_are_refused_with_both_names(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, two("0", "/dev/video0"))
    assert line.startswith(
        "actd.yaml:9:25 cameras.wrist.index_or_path: leads to /dev/video0, as that of "
        "cameras.front does; give each camera its own"
    )


def test_two_cameras_on_one_realsense_are_refused_with_both_names(tmp_path: Path) -> None:
    line = '  {}: {{type: intelrealsense, serial_number_or_name: "12", width: 64, height: 48}}\n'
    head = GOOD.partition("  top:")[0]
    (wrong,) = mistakes(tmp_path, head + line.format("front") + line.format("wrist"))
    assert "cameras.wrist.serial_number_or_name: leads to realsense RealSense 12, as" in wrong


def test_links_to_one_device_are_followed(tmp_path: Path) -> None:
    """Under /dev, as udev makes them."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        device, links = Path(folder, "video0"), [Path(folder, name) for name in ("a", "b")]
        device.touch()
        for link in links:
            link.symlink_to(device)
        (line,) = mistakes(tmp_path, two(*map(str, links)))
        assert f"cameras.wrist.index_or_path: leads to {device}, as that of cameras.front" in line
        links[1].unlink()
        links[1].symlink_to("/dev/null")
        assert len(read(tmp_path, two(*map(str, links))).cameras) == 2


def test_a_password_that_yaml_cuts_in_two_is_not_repeated(tmp_path: Path) -> None:
    lines = mistakes(
        tmp_path, GOOD.replace("index_or_path: 0", "index_or_path: rtsp://me:nee,dle@cam/s")
    )
    assert len(lines) == 2
    assert lines[1].endswith(
        "cameras.top.***: unknown key, perhaps a part of a URL; put the URL in quotes"
    )
    assert not any(part in line for part in ("nee", "dle") for line in lines)
