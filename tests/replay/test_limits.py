"""How often limits fire: on motion whose speeds are known by hand."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from actd.cli import app
from actd.config import load
from actd.control.interpolation import Interpolation
from actd.control.limits import Limits
from actd.control.settings import ControlSettings
from actd.datasets import Dataset, DatasetWriter, Form, open_dataset
from actd.errors import RecordingError, UsageError
from actd.replay.limits import at_control_rate, check, check_dataset, check_flight
from actd.runtime.run_info import run_info
from tests.control import rig
from tests.policy.edit import edit_json
from tests.replay.flights import Invented, eventful
from tests.replay.test_compare import deployment

PERIOD_NS = 10_000_000
TIMES = np.arange(0, 4, PERIOD_NS / 1e9)


def bounds(
    joints: int = 2, interpolation: Interpolation = "linear", **limits: Any
) -> ControlSettings:
    """Settings with these limits; of position +-2 unless told otherwise."""
    limits = {"lower": -2.0, "upper": 2.0, "velocity": 10.0, "acceleration": 100.0} | limits
    between = (interpolation,) * joints
    common = rig.settings(joints=joints, hz=1e9 / PERIOD_NS, interpolation=between, **limits)
    return replace(common, joints=("a", "b")[:joints])


def wave(amplitude: float, hz: float) -> np.ndarray:
    """Two joints, the second at rest."""
    moving = amplitude * np.sin(2 * np.pi * hz * TIMES)
    return np.stack([moving, np.zeros_like(moving)], axis=1)


def test_motion_within_the_limits_fires_none() -> None:
    report = check("wave", [wave(1.0, 0.5)], bounds())
    assert not report.fired.any()
    assert report.ticks == len(TIMES)
    w = np.pi
    assert report.largest[:, 0] == pytest.approx([1.0, w, w**2], rel=0.01)
    assert not report.largest[1:, 1].any()


def test_each_limit_fires_for_its_joint_only() -> None:
    fast = check("wave", [wave(1.0, 0.5)], bounds(velocity=2.0))
    assert fast.fired[1, 0] > 0.2
    assert not fast.fired[:, 1].any()
    assert not fast.fired[0].any()
    wide = check("wave", [wave(2.5, 0.25)], bounds())
    assert wide.fired[0, 0] == pytest.approx(2 * np.arccos(2 / 2.5) / np.pi, abs=0.02)
    slow = check("wave", [wave(1.0, 0.5)], bounds(acceleration=4.0))
    assert slow.fired[2, 0] > 0.1


@settings(max_examples=15, deadline=None)
# At least a whole wave: cut off at full speed, the limiter would brake before the range ends.
@given(amplitude=st.floats(0.05, 1.0), hz=st.floats(0.3, 1.5))
def test_limits_as_suggested_do_not_fire(amplitude: float, hz: float) -> None:
    motion = wave(amplitude, hz)
    seen = check("wave", [motion], bounds())
    suggested = {f.name: getattr(seen.suggested, f.name)[:1] for f in fields(Limits)}
    again = check("wave", [motion[:, :1]], bounds(joints=1, **suggested))
    assert again.fired.max() <= 0.001
    assert 1.19 < suggested["velocity"] / seen.largest[1, 0] < 1.21
    assert np.isnan(seen.suggested.velocity[1])


def test_a_stretch_that_begins_in_motion_does_not_fire_for_it() -> None:
    motion = np.stack([TIMES, TIMES], axis=1)[:150]
    assert not check("ramp", [motion], bounds(velocity=1.5, acceleration=5.0)).fired.any()


def test_the_plans_of_a_flight_while_armed() -> None:
    flight = eventful().flight
    report = check_flight(flight, run_info(flight).control)
    assert report.stretches >= 4
    assert 200 < report.ticks < len(flight.ticks)
    assert report.largest[0].max() == pytest.approx(0.5, abs=0.1)


def test_a_flight_without_an_armed_tick_has_nothing_to_check() -> None:
    run = Invented()
    run.run(30)
    with pytest.raises(RecordingError, match="no armed tick"):
        check_flight(run.flight, run_info(run.flight).control)


@pytest.mark.parametrize("interpolation", ["linear", "smooth"])
def test_a_demonstration_is_brought_to_the_control_rate(interpolation: Interpolation) -> None:
    rows = np.stack([np.linspace(0, 1, 26), np.zeros(26)], axis=1).astype(np.float32)
    given = at_control_rate(rows, 25.0, bounds(interpolation=interpolation))
    assert given.shape == (101, 2)
    assert given[4:-4:4] == pytest.approx(rows[1:-1], abs=1e-6)
    assert given[:, 0] == pytest.approx(np.linspace(0, 1, 101), abs=0.01)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two episodes of joint a swinging at 25 rows a second."""
    folder = tmp_path_factory.mktemp("dataset") / "swing"
    form = Form(25, {"action": ("a", "b"), "observation.state": ("a", "b")}, {})
    with DatasetWriter(folder, form) as writer:
        for phase in (0.0, 1.0):
            episode = writer.begin("swing")
            for row in range(100):
                action = np.array([np.sin(row / 25 + phase), 0.0], np.float32)
                episode.add({"action": action, "observation.state": action}, {})
            episode.save()
    return open_dataset(folder)


def test_a_dataset_is_checked_episode_by_episode(dataset: Dataset) -> None:
    report = check_dataset(dataset, bounds(velocity=0.5))
    assert report.stretches == 2
    assert report.ticks == 2 * (99 * 4 + 1)
    assert report.fired[1, 0] > 0.3
    assert report.largest[1, 0] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("names", "note"),
    [([["a", "b"]], ""), ({"b": 1, "a": 0}, ""), (["actions"], "action: 1 names for 2 values")],
)
def test_a_dataset_may_name_its_joints_in_any_way(
    names: object, note: str, dataset: Dataset, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(dataset.root, tmp_path / "set"))
    edit_json(root / "meta/info.json", lambda d: d["features"]["action"].update(names=names))
    options = ["--limits", "--config", str(deployment(tmp_path)), "--json"]
    done = CliRunner().invoke(app, ["replay", str(root), *options])
    assert done.exit_code == 0, done.output
    assert list(json.loads(done.stdout)["joints"]) == ["a", "b"]
    assert ("note: " in done.stderr) == bool(note)
    assert note in done.stderr


def test_a_dataset_of_another_arm_is_refused(dataset: Dataset) -> None:
    other = replace(bounds(), joints=("b", "a"))
    with pytest.raises(RecordingError, match=r"robot.joints are b, a.*same order"):
        check_dataset(dataset, other)


def test_the_command_on_a_dataset(dataset: Dataset, tmp_path: Path) -> None:
    config = deployment(tmp_path, velocity=0.5)
    assert load(config).robot.joints
    arguments = ["replay", str(dataset.root), "--limits", "--config", str(config)]
    shown = CliRunner().invoke(app, arguments, env={"COLUMNS": "100"})
    assert shown.exit_code == 0, shown.output
    assert "velocity" in shown.output
    assert "too little motion for limits of a whole task" in shown.output
    assert "next:" not in shown.output
    data = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert data["joints"]["a"]["fired"]["velocity"] > 0.3
    with pytest.raises(UsageError, match="--config"):
        CliRunner().invoke(app, arguments[:3], catch_exceptions=False, standalone_mode=False)
