"""The arms: names, limits, motion, and what the cameras see of it."""

from __future__ import annotations

import runpy
import subprocess
import sys

import numpy as np
import pytest

from actd.errors import ActdError
from actd.sim import gl
from actd.sim.aloha import (
    CAMERAS,
    FINGER_CLOSED_M,
    FINGER_OPEN_M,
    GRIPPERS,
    HEIGHT,
    JOINTS,
    WIDTH,
    AlohaSim,
    model_path,
)


def run(sim: AlohaSim, targets: dict[str, float], seconds: float) -> dict[str, float]:
    for _ in range(round(seconds * 100)):
        sim.step(targets, 0.01)
    return sim.state()


def test_has_the_fourteen_joints_of_the_task(sim: AlohaSim) -> None:
    # Run by path: importing the package needs gymnasium, which the simulator does not.
    task = runpy.run_path(str(model_path().parents[1] / "constants.py"))
    assert list(JOINTS) == task["JOINTS"]
    assert task["PUPPET_GRIPPER_POSITION_CLOSE"] == FINGER_CLOSED_M
    assert task["PUPPET_GRIPPER_POSITION_OPEN"] == FINGER_OPEN_M


def test_start_pose_is_that_of_the_task(sim: AlohaSim) -> None:
    arm = [0, -0.96, 1.16, 0, -0.3, 0]
    positions = [value for name, value in sim.state().items() if name not in GRIPPERS]
    np.testing.assert_allclose(positions, arm + arm)


def test_limits_come_from_the_model(sim: AlohaSim) -> None:
    limits = sim.limits
    assert limits["left_arm_shoulder"] == pytest.approx((-1.85005, 1.25664))
    assert all(low < sim.state()[name] < high for name, (low, high) in limits.items())
    assert all(0 <= limits[name][0] < limits[name][1] <= 1 for name in GRIPPERS)


def test_holds_its_pose_without_targets(sim: AlohaSim) -> None:
    start = sim.state()
    end = run(sim, {}, 2.0)
    assert max(abs(end[name] - start[name]) for name in JOINTS) < 0.03


@pytest.mark.parametrize("name", JOINTS)
def test_each_joint_goes_where_it_is_sent_and_alone(sim: AlohaSim, name: str) -> None:
    start = run(sim, {}, 0.5)
    end = run(sim, {name: start[name] + 0.2}, 2.0)
    assert end[name] == pytest.approx(start[name] + 0.2, abs=0.03)
    assert all(abs(end[other] - start[other]) < 0.05 for other in JOINTS if other != name)


def test_a_target_outside_the_limits_is_the_limit(sim: AlohaSim) -> None:
    high = sim.limits["left_arm_gripper"][1]
    assert run(sim, {"left_arm_gripper": 9.0}, 2.0)["left_arm_gripper"] == pytest.approx(
        high, abs=0.03
    )


def test_a_joint_it_does_not_have_is_named(sim: AlohaSim) -> None:
    with pytest.raises(ActdError, match=r"action\.left_waist: this robot has no such joint"):
        sim.step({"left_waist": 0.0}, 0.01)


def test_short_steps_add_up_to_the_same_time(sim: AlohaSim) -> None:
    # 3 ms is one and a half physics steps: none may be lost to rounding.
    target = {"left_arm_waist": 0.5}
    for _ in range(100):
        sim.step(target, 0.003)
    with AlohaSim() as other:
        for _ in range(10):
            other.step(target, 0.030)
        assert sim.state()["left_arm_waist"] == pytest.approx(
            other.state()["left_arm_waist"], abs=1e-6
        )


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_image_shows_the_scene_and_its_motion(drawing: AlohaSim, camera: str) -> None:
    before = drawing.render(camera).copy()
    assert before.shape == (HEIGHT, WIDTH, 3)
    assert before.dtype == np.uint8
    assert (before.max(axis=2) > 30).mean() > 0.2
    red = (before[..., 0] > 150) & (before[..., 1] < 80) & (before[..., 2] < 80)
    assert red.sum() > 20, "the red cube, so colours are RGB"
    run(drawing, {"left_arm_waist": 0.6, "right_arm_shoulder": -0.6}, 1.0)
    changed = np.abs(drawing.render(camera).astype(int) - before.astype(int)).max(axis=2) > 20
    assert changed.mean() > 0.02


def test_without_an_opengl_library_the_install_command_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(gl, "BACKENDS", {"egl": "libNoSuchThing.so.1"})
    with pytest.raises(ActdError, match="apt-get install -y libegl1"):
        gl.choose()


def test_a_library_that_cannot_draw_is_one_line_with_the_remedy() -> None:
    # OSMesa is the backend least likely to be installed; where it is, there is nothing to see.
    if gl._loads("osmesa"):
        pytest.skip("libOSMesa is installed here")
    done = subprocess.run(
        [sys.executable, "-m", "actd.sim.collect", "/dev/null"],
        env={"PATH": "/usr/bin:/bin", "MUJOCO_GL": "osmesa"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "apt-get install -y libegl1" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
