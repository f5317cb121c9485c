"""The outlet of a camera process, fed frame by frame."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from actd.cameras.base import Frame
from actd.cameras.config import CameraConfig
from actd.errors import CameraError
from actd.runtime.camera import FrameWriter
from actd.runtime.channels import FRAME_SLOTS, frame_dtype
from actd.runtime.shm import Ring
from actd.runtime.wakeup import WakeUp

SIZE = (32, 48)
MS = 1_000_000


class Script:
    """A camera that gives the frames it is told, then breaks."""

    damaged = 0

    def paint(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What this camera shows, beginning with a plain image."""
        return image

    def __init__(self, frames: Iterable[tuple[int, int]]) -> None:
        self._frames: Iterator[tuple[int, int]] = iter(frames)

    def open(self) -> None:
        """Nothing to do."""

    def read(self) -> Frame:
        for t_ms, grey in self._frames:
            image = np.full((*SIZE, 3), grey % 256, np.uint8)
            return Frame(self.paint(image), t_ms * MS, 1, self.damaged)
        raise CameraError("camera top: unplugged")

    def close(self) -> None:
        """Nothing to do."""


def outlet_of(
    ring: Ring, bell: WakeUp | None = None, size: tuple[int, int] = SIZE, **keys: object
) -> FrameWriter:
    config = CameraConfig.model_validate({"index_or_path": 0, "fps": 30, **keys})
    return FrameWriter("top", config, ring, bell or WakeUp(), size)


@pytest.fixture
def ring() -> Ring:
    return Ring(frame_dtype(*SIZE), FRAME_SLOTS, crc=False)


def deliver(
    outlet: FrameWriter, frames: Iterable[tuple[int, int]], kind: type[Script] = Script
) -> None:
    with pytest.raises(CameraError, match="unplugged"):
        outlet.deliver(kind(frames))


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_frames_are_published_with_the_time_they_last_changed(ring: Ring) -> None:
    bell = WakeUp()
    deliver(outlet_of(ring, bell), [(0, 1), (33, 2), (66, 2), (100, 2)])
    assert bell.wait(0)
    records = [record for _, record in ring.since(0)]
    assert [int(r["t_capture_ns"]) // MS for r in records] == [0, 33, 66, 100]
    assert [int(r["t_changed_ns"]) // MS for r in records] == [0, 33, 33, 33]


def test_where_a_freeze_is_not_looked_for_every_frame_is_a_change(ring: Ring) -> None:
    deliver(outlet_of(ring, index_or_path="http://cam/top"), [(0, 1), (33, 1)])
    assert ring.peek("t_changed_ns") == 33 * MS


def test_a_rate_below_what_was_asked_is_said_once_with_a_hint_and_once_when_over(
    ring: Ring, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = [(t_ms, t_ms // 66) for t_ms in range(0, 60_000, 66)]
    well = [(60_000 + 33 * k, k) for k in range(600)]
    deliver(outlet_of(ring), [*slow, *well])
    reports = said(capsys)
    assert [report["state"] for report in reports] == ["ok", "slow", "ok"]
    assert "gives 15.2 of 30 fps; in dim light turn off exposure_dynamic" in reports[1]["why"]


def test_a_short_stutter_is_not_reported(ring: Ring, capsys: pytest.CaptureFixture[str]) -> None:
    deliver(outlet_of(ring), [(33 * k + (3000 if k > 100 else 0), k) for k in range(300)])
    assert [report["state"] for report in said(capsys)] == ["ok"]


class Infrared(Script):
    """Shows something, without colour."""

    def paint(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        image[:, 16:] = 255
        return image


class Loose(Script):
    """Loses one image between each two."""

    damaged = 1


def at_30_hz(seconds: float) -> list[tuple[int, int]]:
    return [(33 * k, k % 200) for k in range(int(30 * seconds))]


def test_images_without_colour_are_said_after_some_seconds(
    ring: Ring, capsys: pytest.CaptureFixture[str]
) -> None:
    outlet = outlet_of(ring)
    deliver(outlet, at_30_hz(4), Infrared)
    deliver(outlet, at_30_hz(10))
    assert [report["state"] for report in said(capsys)] == ["ok", "ok"]
    deliver(outlet, at_30_hz(10), Infrared)
    reports = said(capsys)
    assert [report["state"] for report in reports] == ["ok", "grey"]
    assert reports[1]["why"].startswith("all channels of its images are equal; this may be the ")


def test_a_slow_camera_without_colour_is_said_to_be_both(
    ring: Ring, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(outlet_of(ring), [(66 * k, k) for k in range(200)], Infrared)
    report = said(capsys)[-1]
    assert report["state"] == "slow and grey"
    assert "gives 15.2 of 30 fps; in dim light" in report["why"]
    assert " | all channels of its images are equal" in report["why"]


def test_damaged_images_are_counted_and_are_why_a_camera_is_slow(
    ring: Ring, capsys: pytest.CaptureFixture[str]
) -> None:
    for connection in (1, 2):
        deliver(outlet_of(ring), [(66 * k, k) for k in range(100)], Loose)
        assert ring.peek("damaged") == 100 * connection
    report = said(capsys)[-1]
    assert report["state"] == "slow"
    assert "images came damaged; see its cable, its hub" in report["why"]


def test_another_size_is_an_error_that_says_what_to_do(ring: Ring) -> None:
    with pytest.raises(CameraError, match=r"top: gives 48x32, the policy was trained on 20x10"):
        outlet_of(ring, size=(10, 20)).deliver(Script([(0, 1)]))
    assert ring.newest == 0
