"""What is kept of a run, and the files it becomes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from actd.errors import ActdError
from actd.sim.record import SHEET_COLUMNS, CameraRecording


def jpeg(level: int) -> bytes:
    _, encoded = cv2.imencode(".jpg", np.full((48, 64, 3), level, np.uint8))
    return encoded.tobytes()


def recording(frames: int, keep_s: float = 60) -> CameraRecording:
    images = CameraRecording(["a", "b"], fps=10, keep_s=keep_s)
    for number in range(frames):
        for camera, level in (("a", 2 * number), ("b", 255 - 2 * number)):
            images.add(camera, number / 10, jpeg(level))
    return images


def test_video_has_every_moment_with_the_cameras_side_by_side(tmp_path: Path) -> None:
    pytest.importorskip("av")
    file = tmp_path / "run.mp4"
    recording(30).write_video(file)
    video = cv2.VideoCapture(str(file))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    assert len(frames) == 30
    assert frames[0].shape == (48, 128, 3)
    left, right = frames[20][:, :60].mean(), frames[20][:, 68:].mean()
    assert left == pytest.approx(40, abs=12)
    assert right == pytest.approx(215, abs=12)


def test_sheet_shows_moments_from_first_to_last(tmp_path: Path) -> None:
    file = tmp_path / "run.png"
    recording(100).write_sheet(file)
    sheet = cv2.imread(str(file))
    assert sheet.shape == (4 * 48, SHEET_COLUMNS * 64, 3)
    # Below the label, inside the frame: the first moment top left, the last bottom right.
    assert sheet[30:44, 4:60].mean() == pytest.approx(0, abs=8)
    assert sheet[2 * 48 + 30 : 2 * 48 + 44, -60:-4].mean() == pytest.approx(198, abs=8)


def test_only_the_newest_time_is_kept() -> None:
    moments = recording(100, keep_s=2).moments()
    assert [round(shot.t_s * 10) for shot, _ in moments] == list(range(80, 100))


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(ActdError, match="delivered no image"):
        recording(0).write_sheet(tmp_path / "none.png")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with pytest.raises(ActdError, match=r"gone/run\.mp4: cannot write the video"):
        recording(2).write_video(tmp_path / "gone" / "run.mp4")


def test_what_came_before_the_beginning_is_forgotten() -> None:
    kept = recording(10)
    kept.begin_at(1.0)
    for camera in ("a", "b"):
        kept.add(camera, 1.5, jpeg(0))
    assert [shot.t_s for shot, _ in kept.moments()] == [0.5]
