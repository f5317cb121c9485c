"""`actd cameras` and `actd init --match` beside cameras that are not there; see fake_v4l2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from actd.camera_setup import movement_words
from actd.cameras.match import Movement
from actd.config import load
from actd.datasets import DatasetWriter, Form
from tests.cameras.images import photo, scene
from tests.engines import policy_spec, write_waving_engine
from tests.fake_v4l2 import FakeV4L2

CLI = ("-m", "actd")
JOINTS = ("waist", "elbow")
# A name that YAML would take for a number is one that people have.
TOP, WRIST = "top", "0"


class Setup(NamedTuple):
    dataset: Path
    engine: Path


@pytest.fixture(scope="session")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """A dataset of two cameras, and an engine that was trained on it."""
    root = tmp_path_factory.mktemp("trained")
    keys = {f"observation.images.{name}": (480, 640) for name in (TOP, WRIST)}
    form = Form(30, {"observation.state": JOINTS, "action": JOINTS}, keys)
    with DatasetWriter(root / "set", form) as writer:
        episode = writer.begin("cup")
        vectors = {key: np.zeros(2, np.float32) for key in form.vectors}
        images = {key: photo(scene(seed)) for seed, key in enumerate(keys)}
        for _ in range(2):
            episode.add(vectors, images)
        episode.save()
    spec = policy_spec(2, dict.fromkeys((TOP, WRIST), (480, 640)), chunk_size=5)
    return Setup(root / "set", write_waving_engine(root / "engine", spec))


@pytest.fixture
def plugged(fake_v4l2: FakeV4L2) -> FakeV4L2:
    """What was `top` in training has moved a little; what was the wrist's is upside down."""
    fake_v4l2.add(photo(scene(1), 3, 4, 180), card="USB Cam", port="4")
    fake_v4l2.add(photo(scene(5)), card="USB Cam", port="5", modes=["GREY 640 480 30"])
    fake_v4l2.add(photo(scene(0), 12, -5, 1.5), by_id="046d_C920_8A31", port="1")
    return fake_v4l2


def test_the_list_in_words(plugged: FakeV4L2, tmp_path: Path) -> None:
    done = plugged.run(*CLI, "cameras", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:4:1.0-video-video0",
        "  USB Cam, /dev/video0, usb-0000:00:14.0-4",
        "  MJPG 640x480@30 320x240@30",
        "  YUYV 640x480@30",
        "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:5:1.0-video-video1",
        "  USB Cam, /dev/video1, usb-0000:00:14.0-5",
        "  GREY 640x480@30",
        "  no colour: the infrared or depth node of a camera",
        "/dev/v4l/by-id/usb-046d_C920_8A31-video-index0",
        "  HD Pro Webcam C920, /dev/video2, usb-0000:00:14.0-1",
        "  MJPG 640x480@30 320x240@30",
        "  YUYV 640x480@30",
        "next: actd cameras --save outputs/cameras   or   actd cameras --match DATASET",
    ]


def test_cameras_are_mapped_by_what_they_show(
    plugged: FakeV4L2, setup: Setup, tmp_path: Path
) -> None:
    done = plugged.run(*CLI, "cameras", "--match", str(setup.dataset), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = done.stdout
    assert "top: its image has moved: 12 px right, 5 px up, 1.5 degrees clockwise (" in text
    assert (
        "  top: {type: opencv, index_or_path: /dev/v4l/by-id/usb-046d_C920_8A31-video-index0, "
        "width: 640, height: 480, fps: 30}\n"
    ) in text
    assert '  "0": {type: opencv, index_or_path: "/dev/v4l/by-path/pci-' in text
    assert "rotation: 180}" in text
    sheet = cv2.imread(str(tmp_path / "outputs/cameras/match.png"))
    assert sheet is not None
    assert sheet.shape[1] > 1200


@pytest.mark.slow
def test_the_match_as_json_with_a_picture_of_each_camera(
    plugged: FakeV4L2, setup: Setup, tmp_path: Path
) -> None:
    words = ("cameras", "--json", "--match", str(setup.dataset), "--save", "pictures")
    done = plugged.run(*CLI, *words, cwd=tmp_path)
    answer = json.loads(done.stdout)
    top, wrist = answer["matches"]
    assert (top["camera"], top["by"]) == (TOP, "features")
    assert top["movement"]["right_px"] == pytest.approx(12, abs=1)
    assert top["movement"]["degrees"] == pytest.approx(1.5, abs=0.3)
    assert wrist["config"]["rotation"] == 180
    assert [camera["colour"] for camera in answer["cameras"]] == [True, False, True]
    assert answer["files"] == [
        "pictures/pci-0000-00-14.0-usb-0-4-1.0-video-video0.png",
        "pictures/usb-046d_C920_8A31-video-index0.png",
        "pictures/match.png",
    ]
    image = cv2.imread(str(tmp_path / answer["files"][1]))
    assert image is not None
    # Under a strip of text is what the camera sees.
    assert image.shape[0] > 480
    shown = cv2.cvtColor(image[-480:], cv2.COLOR_BGR2RGB).astype(float)
    assert np.abs(shown - photo(scene(0), 12, -5, 1.5)).mean() < 6


@pytest.mark.slow
def test_init_writes_the_mapping(plugged: FakeV4L2, setup: Setup, tmp_path: Path) -> None:
    words = ("init", str(setup.engine), "--match", str(setup.dataset))
    done = plugged.run(*CLI, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cameras = load(tmp_path / "actd.yaml").cameras
    assert list(cameras) == [TOP, WRIST]
    assert cameras[TOP].path == "/dev/v4l/by-id/usb-046d_C920_8A31-video-index0"
    assert cameras[WRIST].path.endswith("usb-0:4:1.0-video-video0")
    assert cameras[WRIST].rotation == 180
    written = (tmp_path / "actd.yaml").read_text()
    assert "features agree" in written
    assert "which device" not in written
    checked = plugged.run(*CLI, "config", "check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr


def test_init_without_cameras_says_what_to_look_for(
    fake_v4l2: FakeV4L2, setup: Setup, tmp_path: Path
) -> None:
    words = ("init", str(setup.engine), "--match", str(setup.dataset))
    done = fake_v4l2.run(*CLI, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "actd.yaml").read_text().splitlines()
    marked = [line for line in lines if line.endswith("# check: which device (`actd cameras`)")]
    assert len(marked) == 2
    assert marked[1].startswith('  "0": {type: opencv')


@pytest.mark.slow
def test_what_is_not_matched_gets_no_device_that_is(
    fake_v4l2: FakeV4L2, setup: Setup, tmp_path: Path
) -> None:
    for port, seed in enumerate((7, 8, 0)):
        fake_v4l2.add(photo(scene(seed)), card=f"Cam {seed}", port=str(port))
    words = ("init", str(setup.engine), "--match", str(setup.dataset))
    done = fake_v4l2.run(*CLI, *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cameras = load(tmp_path / "actd.yaml").cameras
    assert cameras[TOP].path.endswith("video2")
    assert cameras[WRIST].path == "/dev/video0"


def test_a_plain_scene_is_said_to_have_too_few_features(
    fake_v4l2: FakeV4L2, setup: Setup, tmp_path: Path
) -> None:
    fake_v4l2.add(np.full((480, 640, 3), 90, np.uint8))
    done = fake_v4l2.run(*CLI, "cameras", "--match", str(setup.dataset), cwd=tmp_path)
    assert done.stdout.count("no camera shows what this one showed in training") == 2
    assert "cameras:" not in done.stdout


@pytest.mark.slow
def test_one_broken_camera_does_not_stop_the_others(
    fake_v4l2: FakeV4L2, setup: Setup, tmp_path: Path
) -> None:
    fake_v4l2.add(photo(scene(0)), state="busy", port="1")
    fake_v4l2.add(photo(scene(1)), card="Other", port="2")
    fake_v4l2.add(photo(scene(1)), state="forbidden", port="3")
    done = fake_v4l2.run(*CLI, "cameras", "--match", str(setup.dataset), cwd=tmp_path)
    assert done.returncode == 0
    assert "another program may hold it" in done.stderr
    assert "usb-0:3:1.0-video-video2: permission denied; add the user" in done.stderr
    assert "0: as in training (" in done.stdout
    only = fake_v4l2.run(*CLI, "cameras", "--save", "/proc/none", cwd=tmp_path)
    assert only.returncode == 2
    assert "/proc/none/pci-" in only.stderr
    assert "cannot be written (No such file or directory); choose another folder" in only.stderr


@pytest.mark.parametrize("words", [(), ("--json",), ("--save", "x")])
def test_no_camera_is_one_line(fake_v4l2: FakeV4L2, words: tuple[str, ...], tmp_path: Path) -> None:
    done = fake_v4l2.run(*CLI, "cameras", *words, cwd=tmp_path)
    if words == ("--json",):
        assert json.loads(done.stdout)["cameras"] == []
        return
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.startswith("cameras: none found; looked for V4L2: /dev/video*, RealSense: ")
    assert done.returncode == (1 if words else 0)


def test_a_folder_that_is_no_dataset_is_said_before_anything_is_opened(
    fake_v4l2: FakeV4L2, tmp_path: Path
) -> None:
    fake_v4l2.add(photo(scene(0)))
    done = fake_v4l2.run(*CLI, "cameras", "--match", "nothing", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nothing: not a LeRobotDataset")


@pytest.mark.parametrize(
    ("movement", "words"),
    [
        (Movement(0.4, -1.9, 0.2, 1.0, 40, 50), "as in training (40 of 50 features agree)"),
        (
            Movement(-12, 3.4, -1.44, 1.021, 40, 50),
            "its image has moved: 12 px left, 3 px down, 1.4 degrees counterclockwise, 2 % larger "
            "(40 of 50 features agree)",
        ),
    ],
)
def test_a_movement_in_words(movement: Movement, words: str) -> None:
    assert movement_words(movement) == words
