"""Other settings on the same recorded inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actd.errors import ConfigError
from actd.flightlog.reader import Flight
from actd.replay.compare import MotionPeaks, compare
from actd.replay.recorded_run import other_settings
from actd.runtime.run_info import run_info
from tests.replay.flights import eventful

DEPLOYMENT = """
engine: nowhere
robot:
  name: invented
  start_distance: 1.0
  joints:
    a: {{position: [-8, 8], velocity: {velocity}, acceleration: 30, interpolation: smooth}}
    b: {{position: [-8, 8], velocity: 3, acceleration: 30}}
cameras:
  top: {{type: opencv, index_or_path: 0, width: 128, height: 96, fps: 30}}
control:
  rate_hz: {rate_hz}
  policy_hz: 25
  mode: {mode}
  temporal_coeff: -0.1
  n_action_steps: 10
  crossfade_ms: 100
  ease_in_ms: 200
  actuation_latency_ms: 15
staleness: {{state_ms: 200, camera_ms: 500, chunk_ms: 1000, controller_ms: 500, frozen_ms: 1000,
  fault_after_ms: 500}}
"""


def deployment(
    folder: Path, velocity: float = 3.0, rate_hz: int = 100, mode: str = "temporal"
) -> Path:
    path = folder / "actd.yaml"
    path.write_text(DEPLOYMENT.format(velocity=velocity, rate_hz=rate_hz, mode=mode))
    return path


@pytest.fixture(scope="module")
def flight() -> Flight:
    return eventful().flight


def test_the_same_settings_change_nothing(flight: Flight, tmp_path: Path) -> None:
    change = compare(flight, other_settings(flight, deployment(tmp_path)))
    assert change.reproduced
    assert change.differing == 0
    assert not change.largest.any()
    assert change.before.flags == change.after.flags
    assert change.compared == len(flight.ticks)


def test_a_lower_limit_shows_where_and_how_much(flight: Flight, tmp_path: Path) -> None:
    change = compare(flight, other_settings(flight, deployment(tmp_path, velocity=0.3)))
    assert change.reproduced
    assert change.differing > 0
    assert change.largest[0] > 0.01
    assert change.largest[1] > 0.01  # it waits for the slow joint
    assert 0 < change.rms[0] <= change.largest[0]
    assert change.after.flags["SLOWED"] > change.before.flags["SLOWED"]
    assert change.before.motion[0, 0] > 0.4
    assert change.after.motion[0, 0] <= 0.3 + 1e-9
    data = json.loads(json.dumps(change.to_dict()))
    assert data["joints"]["a"]["after"]["max_velocity"] <= 0.3 + 1e-9
    assert data["modes"]["before"]["ARMED"] > 0


def test_another_chunk_mode_is_another_run(flight: Flight, tmp_path: Path) -> None:
    change = compare(flight, other_settings(flight, deployment(tmp_path, mode="queue")))
    assert change.reproduced
    assert change.largest.min() > 0


def test_another_rate_is_refused(flight: Flight, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"control.rate_hz: found 50, .* at 100 Hz"):
        other_settings(flight, deployment(tmp_path, rate_hz=50))


def test_another_arm_is_refused(flight: Flight, tmp_path: Path) -> None:
    path = deployment(tmp_path)
    path.write_text(path.read_text().replace("    b: {", "    c: {"))
    with pytest.raises(ConfigError, match=r"robot.joints: found a, c, the recording has a, b"):
        other_settings(flight, path)


def test_a_recording_that_its_own_settings_do_not_give_is_said(flight: Flight) -> None:
    ticks = flight.ticks.copy()
    ticks["action"] += 1e-9
    change = compare(replace(flight, ticks=ticks), run_info(flight).control)
    assert not change.reproduced
    assert change.differing == 0


def test_motion_is_counted_per_period() -> None:
    motion = MotionPeaks(1, 100_000_000)
    for value in (0.0, 0.1, 0.3, 0.2):
        motion.add(np.array([value]))
    assert motion.largest[:, 0] == pytest.approx([2.0, 30.0, 400.0])
    motion.add(None)
    motion.add(np.array([50.0]))
    assert motion.largest[0, 0] == pytest.approx(2.0)
