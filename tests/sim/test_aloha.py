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
    FINGER_CLOSED_M,
    FINGER_OPEN_M,
    GRIPPERS,
    JOINTS,
    AlohaSim,
    model_path,
)
from actd.sim.scene import BAR, BAR_LIFTED_M, CUBE, LEFT_FINGER, OBJECT_BODY, OBJECT_JOINT, SCENES


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
    with AlohaSim(BAR) as other:
        for _ in range(10):
            other.step(target, 0.030)
        assert sim.state()["left_arm_waist"] == pytest.approx(
            other.state()["left_arm_waist"], abs=1e-6
        )


@pytest.mark.usefixtures("drawing")
@pytest.mark.parametrize("name", SCENES)
def test_every_camera_sees_the_object_and_the_arms_move(name: str) -> None:
    scene = SCENES[name]
    with AlohaSim(scene) as sim:
        before = {camera: sim.render(camera).copy() for camera in scene.cameras}
        run(sim, {"left_arm_waist": 0.6, "right_arm_shoulder": -0.6}, 1.0)
        for camera, image in before.items():
            assert image.shape == (scene.height, scene.width, 3)
            assert image.dtype == np.uint8
            red = (image[..., 0] > 150) & (image[..., 1] < 80) & (image[..., 2] < 80)
            assert red.mean() > 0.0003, "the object is red, so colours are RGB"
            changed = np.abs(sim.render(camera).astype(int) - image.astype(int)).max(axis=2) > 20
            assert changed.mean() > 0.02


def test_people_see_both_arms_on_a_table_in_a_room(drawing: AlohaSim) -> None:
    view = drawing.render_view(120, 160).astype(int)
    assert view.shape == (120, 160, 3)
    assert (view.max(axis=2) > 30).mean() > 0.9, "no black void"
    left, right = view[30:90, :50], view[30:90, -50:]
    assert all((side.max(axis=2) < 80).mean() > 0.05 for side in (left, right)), "dark arms"


def test_the_object_lies_where_it_is_laid_and_the_task_begins_undone(sim: AlohaSim) -> None:
    run(sim, {"right_arm_waist": 0.5}, 0.3)
    sim.reset(0.1, 0.5, 0.4)
    body = sim._data.body(OBJECT_BODY)
    np.testing.assert_allclose(body.xpos, [0.1, 0.5, BAR.z_m], atol=0.002)
    assert 2 * np.arctan2(body.xquat[3], body.xquat[0]) == pytest.approx(0.4, abs=0.01)
    assert abs(sim.state()["right_arm_waist"]) < 0.01
    assert not sim.is_done


def test_a_bar_in_the_air_is_lifted(sim: AlohaSim) -> None:
    place = int(sim.model.joint(OBJECT_JOINT).qposadr[0])
    sim._data.qpos[place + 2] = BAR_LIFTED_M + 0.05
    sim.step({}, 0.004)
    assert sim.is_done


def test_gym_alohas_own_reward_agrees() -> None:
    """The cube on the table, in the air, and between the left fingers."""
    tasks = pytest.importorskip("gym_aloha.tasks.sim")
    dm_mujoco = pytest.importorskip("dm_control.mujoco")
    physics = dm_mujoco.Physics.from_xml_path(str(model_path()))
    task = tasks.TransferCubeTask()
    with AlohaSim(CUBE) as sim:
        cube = int(sim.model.joint(OBJECT_JOINT).qposadr[0])
        for where in ("table", "air", "fingers"):
            sim.reset(0.1, 0.5, 0.0)
            if where == "air":
                sim._data.qpos[cube + 2] = 0.4
            if where == "fingers":
                sim._data.qpos[cube : cube + 3] = sim._data.geom(LEFT_FINGER).xpos
            sim._mujoco.mj_forward(sim.model, sim._data)
            with physics.reset_context():
                physics.data.qpos[:] = sim._data.qpos
            assert sim.is_done == (task.get_reward(physics) == task.max_reward)
            assert sim.is_done == (where == "fingers")


COMPARE = """
from actd.sim.aloha import AlohaSim, model_path
from actd.sim.scene import CUBE
import numpy as np
with AlohaSim(CUBE) as sim:
    sim.reset(0.1, 0.5, 0.0)
    ours = sim.render("top").astype(int)
    from dm_control import mujoco
    physics = mujoco.Physics.from_xml_path(str(model_path()))
    with physics.reset_context():
        physics.data.qpos[:] = sim._data.qpos
    theirs = physics.render(CUBE.height, CUBE.width, camera_id="top")
print(np.abs(ours - theirs).mean())
"""


@pytest.mark.usefixtures("drawing")
def test_a_policy_for_gym_aloha_sees_what_that_environment_draws() -> None:
    pytest.importorskip("dm_control.mujoco")
    # In a process of its own: the two leave their drawing contexts to each other at the end.
    done = subprocess.run(
        [sys.executable, "-c", COMPARE], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 0.1


def test_places_are_within_the_scenes_ranges() -> None:
    random = np.random.default_rng(0)
    places = np.array([BAR.place(random) for _ in range(200)])
    low, high = np.transpose([BAR.x_m, BAR.y_m, BAR.yaw_rad])
    assert ((places >= low) & (places <= high)).all()
    assert (np.ptp(places, axis=0) > 0.9 * (high - low)).all()


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
        [sys.executable, "-m", "actd.sim.robot"],
        env={"PATH": "/usr/bin:/bin", "MUJOCO_GL": "osmesa"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "apt-get install -y libegl1" in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
