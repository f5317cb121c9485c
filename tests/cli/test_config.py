"""`actd config show` gives a file that means the same."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from actd.cli import app
from actd.config import load

TEXT = """
engine: engines/cup
robot:
  name: cup
  start_distance: 0.2
  joints:
    waist: {position: [-1, 1], velocity: 2, acceleration: 8}
    elbow: {position: [-1, 1], velocity: 2, acceleration: 8}
    "0": {position: [-1, 1], velocity: 2, acceleration: 8}
    arm: {position: [-1, 1], velocity: 2, acceleration: 8}
cameras:
  wrist: {type: opencv, index_or_path: 1, width: 64, height: 48, fps: 30}
  "0": {type: opencv, index_or_path: 0, width: 64, height: 48, fps: 30}
"""


def test_what_is_shown_keeps_the_order_of_the_joints(tmp_path: Path) -> None:
    """It is that of the action vector; sorted, another arm would have passed."""
    path, shown = tmp_path / "actd.yaml", tmp_path / "shown.yaml"
    path.write_text(TEXT)
    done = CliRunner().invoke(app, ["config", "show", str(path)])
    assert done.exit_code == 0, done.output
    shown.write_text(done.stdout)
    first, second = load(path), load(shown)
    assert list(second.robot.joints) == ["waist", "elbow", "0", "arm"]
    assert list(second.cameras) == ["wrist", "0"]
    assert second.joints == first.joints
    assert second.control == first.control
