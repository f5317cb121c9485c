"""What is kept of a run, and the files it becomes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from actd.errors import ActdError
from actd.sim.picture import BAND_PX, HEIGHT, WIDTH, compose
from actd.sim.record import SHEET_COLUMNS, Recording


def recording(frames: int, keep_s: float = 60) -> Recording:
    pictures = Recording(fps=10, keep_s=keep_s)
    for number in range(frames):
        pictures.add(np.full((96, 128, 3), 2 * number, np.uint8))
    return pictures


def frames_of(file: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(file))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1])
    return frames


def test_the_video_has_every_picture(tmp_path: Path) -> None:
    pytest.importorskip("av")
    file = tmp_path / "run.mp4"
    recording(30).write_video(file)
    frames = frames_of(file)
    assert len(frames) == 30
    assert frames[0].shape == (96, 128, 3)
    assert frames[20].mean() == pytest.approx(40, abs=12)


def test_the_sheet_shows_moments_from_first_to_last(tmp_path: Path) -> None:
    file = tmp_path / "run.png"
    recording(100).write_sheet(file)
    sheet = cv2.imread(str(file))
    assert sheet.shape == (2 * 48, SHEET_COLUMNS * 64, 3)
    assert sheet[:48, :64].mean() == pytest.approx(0, abs=8)
    assert sheet[-48:, -64:].mean() == pytest.approx(198, abs=8)


def test_only_the_newest_time_is_kept(tmp_path: Path) -> None:
    pytest.importorskip("av")
    recording(100, keep_s=2).write_video(tmp_path / "run.mp4")
    frames = frames_of(tmp_path / "run.mp4")
    assert len(frames) == 20
    assert frames[0].mean() == pytest.approx(160, abs=12)


def test_nothing_recorded_is_said(tmp_path: Path) -> None:
    with pytest.raises(ActdError, match="there is no picture"):
        recording(0).write_sheet(tmp_path / "none.png")


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av")
    with pytest.raises(ActdError, match=r"gone/run\.mp4: cannot write the video"):
        recording(2).write_video(tmp_path / "gone" / "run.mp4")


def test_a_picture_shows_what_the_cameras_see_and_the_state_in_its_colour() -> None:
    view = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    seen = {name: np.full((96, 128, 3), level, np.uint8) for name, level in (("a", 0), ("b", 250))}
    armed, fault = (compose(view, seen, mode, "3 of 4") for mode in ("ARMED", "FAULT"))
    assert (view == 60).all(), "the view itself is not drawn on"
    assert (armed[-100:, -310:] < 5).mean() > 0.2
    assert (armed[-100:, -310:] > 245).mean() > 0.2
    assert (armed[BAND_PX:200] == 60).all()
    green, red = (image[:BAND_PX, :100].reshape(-1, 3).max(axis=0) for image in (armed, fault))
    assert green[1] > green[0]
    assert red[0] > red[1]
