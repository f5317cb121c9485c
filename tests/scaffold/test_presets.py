"""Robots that actd knows: that each makes a deployment, and which policy is of which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actd.config import Config, check_policy, load
from actd.config.checks import misfits
from actd.config.robot import RobotConfig
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import UsageError
from actd.policy.spec import PolicySpec
from actd.scaffold import write_config
from actd.scaffold.presets import Preset, preset, preset_names, recorded_on
from tests.engines import policy_spec
from tests.scaffold.robots_page import PAGE, page

KNOWN = {
    "aloha": 14,
    "franka": 8,
    "koch": 6,
    "lekiwi": 9,
    "piper": 7,
    "so100": 6,
    "so101": 6,
    "ur5e": 7,
    "wxai": 7,
}


def engine_of(spec: PolicySpec, small_engine: Path, folder: Path) -> Path:
    """A folder with a manifest of that policy; no command of these tests runs it."""
    data = json.loads((small_engine / MANIFEST).read_text())
    data["spec"] = json.loads(json.dumps(_plain(spec)))
    folder.mkdir()
    (folder / MANIFEST).write_text(json.dumps(data))
    return folder


def _plain(spec: PolicySpec) -> object:
    from dataclasses import asdict

    return asdict(spec)


def test_the_robots_are_all_there() -> None:
    assert {name: len(preset(name).joints) for name in preset_names()} == KNOWN
    with pytest.raises(UsageError, match="--robot: 'r2d2' is not known: choose from aloha, fr"):
        preset("r2d2")


@pytest.mark.parametrize("name", KNOWN)
def test_every_form_of_every_robot_is_a_deployment(name: str) -> None:
    robot = preset(name)
    assert robot.traps
    for scale, form in robot.forms.items():
        section = RobotConfig(name=name, joints=form.joints, units=form.units)
        assert list(misfits({"robot": section})) == []
        largest = max(
            max(map(abs, joint.position or (0, 0)))
            for joint in form.joints.values()
            if joint.kind == "position"
        )
        assert {"rad": largest < 7, "degrees": largest > 90, "percent": largest == 100}[scale]


@pytest.mark.parametrize("name", KNOWN)
def test_init_makes_a_file_for_each(name: str, small_engine: Path, tmp_path: Path) -> None:
    spec = policy_spec(KNOWN[name], {"front": (48, 64)}, chunk_size=50)
    engine = engine_of(spec, small_engine, tmp_path / "engine")
    list(write_config(engine, tmp_path / "actd.yaml", robot=name))
    config: Config = load(tmp_path / "actd.yaml")
    robot = preset(name)
    assert list(config.robot.joints) == robot.joints
    assert config.control.rate_hz == robot.rate_hz
    assert config.control.interpolation == robot.interpolation
    assert config.robot.units == next(iter(robot.forms.values())).units
    check_policy(config, read_manifest(engine).spec, "actd.yaml")


def test_the_page_of_the_robots_is_theirs() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize(
    ("robot_type", "name"),
    [
        ("so101_follower", "so101"),
        ("so_follower", "so101"),
        ("so100", "so100"),
        ("SO100_follower", "so100"),
        ("koch_follower", "koch"),
        ("lekiwi_client", "lekiwi"),
        ("aloha_v2", "aloha"),
        ("ur5e", "ur5e"),
        ("fr3", "franka"),
        ("piper_follower", "piper"),
        ("trossen_ai_solo", "wxai"),
        ("widowxai_follower_robot", "wxai"),
        ("bi_so100_follower", None),
        ("my_arm", None),
        (None, None),
    ],
)
def test_which_robot_recorded_it(robot_type: str | None, name: str | None) -> None:
    assert recorded_on(robot_type) == name


def test_joints_in_the_order_of_the_training() -> None:
    so101: Preset = preset("so101")
    turned = so101.joints[::-1]
    assert so101.in_order(6, turned) == turned
    assert so101.in_order(6, [f"main_{name.removesuffix('.pos')}" for name in turned]) == turned
    assert so101.in_order(6, ["a", "b", "c", "d", "e", "f"]) == so101.joints
    assert so101.in_order(6, ()) == so101.joints
    assert so101.in_order(5, ()) == so101.joints[:5]  # without its gripper
    assert so101.in_order(4, ()) is None
    assert so101.in_order(7, ()) is None
    assert not so101.knows(("a",) * 6)
    assert preset("lekiwi").in_order(8, ()) is None  # what ends its list is no gripper


def test_a_robot_that_the_policy_cannot_be_of(small_engine: Path, tmp_path: Path) -> None:
    out = tmp_path / "actd.yaml"
    with pytest.raises(UsageError, match="--robot: so101 has 6 joints, the policy commands 14; le"):
        list(write_config(small_engine, out, robot="so101"))
    engine = engine_of(read_manifest(small_engine).spec, small_engine, tmp_path / "engine")
    data = json.loads((engine / MANIFEST).read_text())
    data["training"]["robot_type"] = "so101_follower"
    (engine / MANIFEST).write_text(json.dumps(data))
    said = list(write_config(engine, out))
    note = "note: recorded on so101_follower: not taken for so101: so101 has 6 joints, the policy"
    assert any(line.startswith(note) for line in said)
    assert "joint_13" in out.read_text()
