"""Which keys differ between two deployments."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.config import changed_keys
from tests.config.test_config import GOOD, read


@pytest.mark.parametrize(
    ("old", "new", "keys"),
    [
        ("", "", []),
        ("velocity: 2", "velocity: 3", ["robot.joints.waist.velocity"]),
        ("cup-left", "cup-right", ["robot.name"]),
        ("position: [-1, 1]", "position: [-1, 2]", ["robot.joints.waist.position"]),
        ("engines/mine", "engines/other", ["engine"]),
        ("index_or_path: 0", "index_or_path: 1", ["cameras.top.index_or_path"]),
        # a default that is written down is no change
        ("robot:", "control: {rate_hz: 50}\nrobot:", []),
        ("robot:", "control: {rate_hz: 60}\nrobot:", ["control.rate_hz"]),
        ("rtsp://me:one@host/", "rtsp://me:two@host/", ["cameras.side.index_or_path"]),
    ],
)
def test_a_key_whose_value_differs_is_named(
    tmp_path: Path, old: str, new: str, keys: list[str]
) -> None:
    side = "{type: opencv, index_or_path: 'rtsp://me:one@host/', width: 64, height: 48, fps: 30}"
    text = f"{GOOD}  side: {side}\n"
    running = read(tmp_path, text)
    assert changed_keys(running, read(tmp_path, text.replace(old, new, 1))) == keys


def test_keys_that_come_and_go_are_named(tmp_path: Path) -> None:
    less = read(tmp_path, GOOD)
    more = read(tmp_path, GOOD + GOOD.splitlines()[-1].replace("top", "side").replace(" 0,", " 1,"))
    added = changed_keys(less, more)
    assert "cameras.side.index_or_path" in added
    assert all(key.startswith("cameras.side.") for key in added)
    assert changed_keys(more, less) == added
