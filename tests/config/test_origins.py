"""Every value of a deployment and whether the file says it."""

from __future__ import annotations

from pathlib import Path

from actd.config import load
from actd.config.origins import values
from actd.config.reading import parse

TEXT = """
engine: engines/cup
robot:
  name: cup
  start_distance: 0.2
  joints:
    waist: {position: [-1, 1], velocity: 2, acceleration: 8}  # of the preset
cameras:
  top: {type: opencv, index_or_path: "rtsp://me:needle@cam/1", width: 64, height: 48, fps: 30}
control:
  rate_hz: 100  # the fps of rtsp://me:needle@cam/1
  mode: queue
"""


def test_the_file_and_the_defaults_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "actd.yaml"
    path.write_text(TEXT)
    found = {each["key"]: (each["value"], each["origin"]) for each in values(load(path))}
    assert found["control.rate_hz"] == (100.0, "file")
    assert found["control.n_action_steps"] == (None, "default")
    assert found["robot.joints.waist.position"] == ([-1.0, 1.0], "file")
    assert found["robot.joints.waist.kind"][1] == "default"
    assert found["process.tick.priority"] == (60, "default")
    assert found["cameras.top.fps"] == (30.0, "file")
    assert "needle" not in str(found)
    assert not any(isinstance(value, dict) for value, _ in found.values() if value)


def test_what_the_file_says_has_its_line_and_its_remark(tmp_path: Path) -> None:
    path = tmp_path / "actd.yaml"
    path.write_text(TEXT)
    found = {each["key"]: each for each in values(load(path), parse(path))}
    assert (found["engine"]["line"], found["engine"]["remark"]) == (2, "")
    waist = found["robot.joints.waist.velocity"]
    assert (waist["line"], waist["remark"]) == (7, "of the preset")
    assert found["control.rate_hz"]["line"] == 11
    assert found["control.rate_hz"]["remark"].startswith("the fps of rtsp://")
    assert (found["control.mode"]["line"], found["control.mode"]["remark"]) == (12, "")
    assert found["process.tick.priority"]["line"] is None
    assert "needle" not in str(found)
