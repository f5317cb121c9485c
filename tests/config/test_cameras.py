"""Cameras in a deployment file: what people write there, and what they are told."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

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
    ("camera", "words"),
    [
        (
            '{type: intelrealsense, serial_number_or_name: "0123", width: 64, height: 48, fps: 30}',
            "give the node of its colour images: type: opencv, index_or_path: /dev/v4l/by-id/...",
        ),
        (
            "{type: zmq, server_address: 127.0.0.1, port: 5555, camera_name: top}",
            "let its server give MJPEG or RTSP: type: opencv, index_or_path: http://HOST:PORT/PATH",
        ),
        (
            "{type: reachy2_camera, name: teleop, image_type: left}",
            "give its /dev path, a video file or a URL: type: opencv, index_or_path: ...",
        ),
    ],
)
def test_another_type_of_camera_is_one_line_that_says_what_to_write(
    tmp_path: Path, camera: str, words: str
) -> None:
    (line,) = mistakes(tmp_path, f"{GOOD.partition('  top:')[0]}  top: {camera}\n")
    kind = camera.split(",", maxsplit=1)[0].removeprefix("{type: ")
    assert line.startswith(f"actd.yaml:8:3 cameras.top: type: {kind!r} is not read, only opencv; ")
    assert words in line


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
