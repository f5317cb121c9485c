"""What `actd init` makes of what an engine knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actd.config import Config, check_policy, load, warnings
from actd.engine.manifest import MANIFEST, read_manifest
from actd.scaffold import write_config


def engine_like(engine: Path, folder: Path, **spec: Any) -> Path:
    """A folder with the manifest of `engine` and another specification."""
    data = json.loads((engine / MANIFEST).read_text())
    data["spec"] |= spec
    folder.mkdir()
    (folder / MANIFEST).write_text(json.dumps(data))
    return folder


def init(source: Path, out: Path, robot: str | None = None) -> Config:
    list(write_config(source, out, engine=None, robot=robot, force=False))
    return load(out)


def test_ranges_speeds_and_rate_come_from_the_training(small_engine: Path, tmp_path: Path) -> None:
    low, high = [-1.0] * 13 + [2048.0], [1.0] * 12 + [-1.0, 2048.4]
    engine = engine_like(
        small_engine,
        tmp_path / "engine",
        trained_hz=25.0,
        statistics={"action": {"min": low, "max": high, "mean": [0.0] * 14, "std": [9.0] * 14}},
    )
    config, manifest = init(engine, tmp_path / "actd.yaml"), read_manifest(engine)
    joints = config.joints
    assert (joints[0].lower, joints[0].upper) == (-1.1, 1.1)
    assert (joints[0].velocity, joints[0].acceleration) == (2, 8)
    assert joints[0].start_distance == pytest.approx(0.176)
    # A joint that never moved gets a small range around its place, however large that is.
    assert (joints[12].lower, joints[12].upper) == (-1.055, -0.945)
    assert (joints[13].lower, joints[13].upper) == (2047.98, 2048.42)
    assert config.control.policy_hz == 25
    check_policy(config, manifest.spec, "actd.yaml")
    assert warnings(config, manifest) == []


def test_an_engine_that_knows_nothing_gives_guesses(small_engine: Path, tmp_path: Path) -> None:
    engine = engine_like(small_engine, tmp_path / "engine", statistics={})
    config = init(engine, tmp_path / "actd.yaml")
    assert (config.joints[0].lower, config.joints[0].upper) == (-1.1, 1.1)
    assert config.control.policy_hz == 30
    assert "# check: the dataset's fps" in (tmp_path / "actd.yaml").read_text()


def test_the_rate_of_the_training_goes_before_the_robots_usual_one(
    small_engine: Path, tmp_path: Path
) -> None:
    engine = engine_like(small_engine, tmp_path / "engine", trained_hz=30)
    config = init(engine, tmp_path / "actd.yaml", "aloha")
    assert (config.control.rate_hz, config.control.policy_hz) == (50, 30)
    assert config.robot.units.startswith("rad, grippers")
    grippers = [joint.name for joint in config.joints if joint.kind == "gripper"]
    assert grippers == ["left_gripper", "right_gripper"]
    check_policy(config, read_manifest(engine).spec, "actd.yaml")


@pytest.mark.parametrize("robot", ["aloha", None])
@pytest.mark.parametrize("host", ["bench-3", "küche / 2", "x" * 80, ""])
def test_the_robot_is_named_after_its_computer(
    host: str,
    robot: str | None,
    small_engine: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("platform.node", lambda: host)
    name = init(small_engine, tmp_path / "actd.yaml", robot).robot.name
    assert name.startswith(f"{robot or 'robot'}-")
    assert len(name) <= 64


def test_a_slow_dataset_still_gets_a_rate_for_the_ticks(small_engine: Path, tmp_path: Path) -> None:
    engine = engine_like(small_engine, tmp_path / "engine", trained_hz=5.0)
    config = init(engine, tmp_path / "actd.yaml")
    assert (config.control.rate_hz, config.control.policy_hz) == (30, 5)
