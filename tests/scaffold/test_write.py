"""What `actd init` makes of what an engine knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actd.config import Config, check_policy, load, warnings
from actd.engine.manifest import MANIFEST, read_manifest
from actd.errors import ConfigError, EngineError, UsageError
from actd.policy.overrides import Overrides
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
    written = (tmp_path / "actd.yaml").read_text().splitlines()
    marked = [line.split(":")[0].strip() for line in written if "never moved in training" in line]
    assert marked == ["joint_12", "joint_13"]
    assert config.control.policy_hz == 25
    check_policy(config, manifest.spec, "actd.yaml")
    # of the policy, and none of the file
    assert warnings(config, manifest) == list(manifest.warnings)


def test_a_robots_own_cameras_are_no_guess(small_engine: Path, tmp_path: Path) -> None:
    out = tmp_path / "actd.yaml"
    list(write_config(small_engine, out, robot_cameras=True))
    cameras = load(out).cameras
    spec = read_manifest(small_engine).spec
    sizes = {name: (camera.height, camera.width) for name, camera in cameras.items()}
    assert sizes == {feature.camera: feature.boundary_shape[:2] for feature in spec.cameras}
    assert [camera.path for camera in cameras.values()] == [
        f"tcp://127.0.0.1:5555/{name}" for name in cameras
    ]
    assert all(camera.detects_freeze for camera in cameras.values())
    (section,) = [part for part in out.read_text().split("\n\n") if "\ncameras:" in part]
    assert "check:" not in section
    blind = json.loads((small_engine / MANIFEST).read_text())["spec"]["inputs"]
    others = [feature for feature in blind if feature["kind"] != "VISUAL"]
    engine = engine_like(small_engine, tmp_path / "blind", inputs=others)
    with pytest.raises(UsageError, match=r"--robot-cameras: .*blind sees no cameras; leave it out"):
        list(write_config(engine, tmp_path / "b.yaml", robot_cameras=True))
    with pytest.raises(UsageError, match="both --match and --robot-cameras; give one of them"):
        list(write_config(small_engine, out, robot_cameras=True, match=tmp_path, force=True))


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


@pytest.mark.parametrize(("hz", "rate_hz"), [(3.0, 50), (5.0, 50), (12.5, 50), (30, 50), (60, 60)])
def test_a_slow_dataset_still_gets_a_rate_for_the_ticks(
    hz: float, rate_hz: float, small_engine: Path, tmp_path: Path
) -> None:
    engine = engine_like(small_engine, tmp_path / "engine", trained_hz=hz)
    config = init(engine, tmp_path / "actd.yaml")
    assert (config.control.rate_hz, config.control.policy_hz) == (rate_hz, hz)


@pytest.mark.parametrize("place", [0.0, 45.3, -1.57, 100.0, 2048.0, 1e7, -1e-3])
@pytest.mark.parametrize("width", [0.0, 5e-5])
@pytest.mark.parametrize("others", [0.0, 1.0])
def test_a_joint_that_never_moved_gets_a_range_around_its_place(
    place: float, width: float, others: float, small_engine: Path, tmp_path: Path
) -> None:
    low, high = [-others] * 13 + [place - width], [others] * 13 + [place + width]
    statistics = {"action": {"min": low, "max": high}}
    engine = engine_like(small_engine, tmp_path / "engine", statistics=statistics)
    joint = init(engine, tmp_path / "actd.yaml").joints[13]
    assert joint.lower is not None
    assert joint.upper is not None
    assert joint.lower < place - 0.9 * width <= place + 0.9 * width < joint.upper


NAMES = [
    *(
        "left_waist",
        "left_gripper",
        "base.vel",
        "true",
        "1",
        "a: b",
        "ö",
        "x#y",
        "[z]",
        "-",
        "null",
    ),
    *("wrist roll", "e", "12.5"),
]


def test_joints_bear_the_names_of_the_training(small_engine: Path, tmp_path: Path) -> None:
    low, high = [-1.0] * 14, [1.0] * 14
    low[2], high[2] = 0.1, 0.5  # a speed that was never 0
    engine = engine_like(
        small_engine,
        tmp_path / "engine",
        names={"action": NAMES},
        statistics={"action": {"min": low, "max": high}},
    )
    config = init(engine, tmp_path / "actd.yaml")
    assert [joint.name for joint in config.joints] == NAMES
    kinds = {joint.name: joint.kind for joint in config.joints}
    assert kinds["left_gripper"] == "gripper"
    assert kinds["base.vel"] == "velocity"
    assert kinds["wrist roll"] == "position"
    manifest = read_manifest(engine)
    check_policy(config, manifest.spec, "actd.yaml")
    assert warnings(config, manifest) == list(manifest.warnings)


def test_names_that_are_not_one_for_each_are_not_used(small_engine: Path, tmp_path: Path) -> None:
    engine = engine_like(small_engine, tmp_path / "engine", names={"action": ["motor"] * 14})
    assert init(engine, tmp_path / "actd.yaml").joints[13].name == "joint_13"


def with_states(engine: Path, count: int) -> list[dict[str, Any]]:
    """The inputs of `engine` with another number of states."""
    inputs = json.loads((engine / MANIFEST).read_text())["spec"]["inputs"]
    return [f | {"shape": [count]} if f["kind"] == "STATE" else f for f in inputs]


def test_states_bear_the_names_of_the_training(small_engine: Path, tmp_path: Path) -> None:
    joints = [f"j{k}" for k in range(14)]
    states = [name for joint in joints for name in (joint, f"{joint}.vel")]
    engine = engine_like(
        small_engine,
        tmp_path / "engine",
        inputs=with_states(small_engine, 28),
        statistics={},
        names={"action": joints, "observation.state": states},
    )
    assert init(engine, tmp_path / "actd.yaml").robot.state == states
    turned = engine_like(
        small_engine,
        tmp_path / "turned",
        names={"action": joints, "observation.state": joints[::-1]},
    )
    config = init(turned, tmp_path / "turned.yaml")
    assert config.robot.state == joints[::-1]
    check_policy(config, read_manifest(turned).spec, "turned.yaml")
    unnamed = engine_like(engine, tmp_path / "unnamed", names={})
    config = init(unnamed, tmp_path / "unnamed.yaml")
    assert config.robot.state_names[13:15] == ["joint_13", "state_14"]
    assert "name them in order" in (tmp_path / "unnamed.yaml").read_text()


def test_a_policy_that_does_not_feel_the_arm_gets_a_deployment(
    small_engine: Path, tmp_path: Path
) -> None:
    inputs = json.loads((small_engine / MANIFEST).read_text())["spec"]["inputs"]
    blind = [feature for feature in inputs if feature["kind"] != "STATE"]
    engine = engine_like(small_engine, tmp_path / "engine", inputs=blind, statistics={})
    config = init(engine, tmp_path / "actd.yaml")
    assert config.robot.state_names == list(config.robot.joints)
    check_policy(config, read_manifest(engine).spec, "actd.yaml")


@pytest.mark.parametrize(
    ("count", "names", "words"),
    [
        (
            15,
            {
                "action": ["delta_x", *(f"j{k}" for k in range(13))],
                "observation.state": [f"j{k}" for k in range(15)],
            },
            "action: actd commands absolute positions that the robot also measures; relative "
            "actions (delta_x) are not supported",
        ),
        (
            15,
            {
                "action": [f"m{k}" for k in range(14)],
                "observation.state": [f"m{k}" for k in range(1, 16)],
            },
            "without m0: actd commands only what the robot also measures",
        ),
        (12, {}, "observation.state: 12 values without joint_12, joint_13: actd commands only"),
    ],
)
def test_what_the_robot_does_not_measure_is_no_deployment(
    count: int, names: dict[str, list[str]], words: str, small_engine: Path, tmp_path: Path
) -> None:
    engine = engine_like(
        small_engine,
        tmp_path / "engine",
        inputs=with_states(small_engine, count),
        statistics={},
        names=names,
    )
    with pytest.raises(UsageError) as caught:
        init(engine, tmp_path / "actd.yaml")
    assert words in str(caught.value)
    assert not (tmp_path / "actd.yaml").exists()


@pytest.mark.parametrize(
    ("low", "high", "units"),
    [(-1.6, 1.6, "rad"), (-98.0, 199.0, "degrees"), (0.0, 4095.0, "unknown")],
)
def test_units_are_radians_only_where_they_may_be(
    low: float, high: float, units: str, small_engine: Path, tmp_path: Path
) -> None:
    statistics = {"action": {"min": [low] * 14, "max": [high] * 14}}
    engine = engine_like(small_engine, tmp_path / "engine", statistics=statistics)
    assert init(engine, tmp_path / "actd.yaml").robot.units == units


@pytest.mark.parametrize("high", [2e8, 1e30])
def test_a_range_that_no_joint_has_is_refused(
    high: float, small_engine: Path, tmp_path: Path
) -> None:
    statistics = {"action": {"min": [-1.0] * 14, "max": [1.0] * 13 + [high]}}
    engine = engine_like(small_engine, tmp_path / "engine", statistics=statistics)
    with pytest.raises(UsageError, match=r"action: joint_13 went from -1 to .* as no joint does"):
        init(engine, tmp_path / "actd.yaml")


def test_what_is_known_of_the_policy_is_said_again(small_engine: Path, tmp_path: Path) -> None:
    statistics = {"action": {"min": [-98.0] * 14, "max": [99.0] * 14}}
    engine = engine_like(small_engine, tmp_path / "engine", statistics=statistics)
    data = json.loads((engine / MANIFEST).read_text())
    data |= {"warnings": ["wrist never moved"], "training": {"robot_type": "aloha_v2"}}
    (engine / MANIFEST).write_text(json.dumps(data))

    def said(robot: str | None) -> list[str]:
        out = tmp_path / f"{robot}.yaml"
        return list(write_config(engine, out, engine=None, robot=robot, force=False))

    alone = said(None)
    assert "warning: wrist never moved" in alone
    assert "note: recorded on aloha_v2: taken for aloha; --robot is another" in alone
    assert any("robot.joints.left_waist: trained -98..99, allowed" in line for line in alone)
    assert any(line.startswith("units: degrees (positions reach 99: deg") for line in alone)
    other = "note: recorded on aloha_v2, and taken for"
    assert not any(line.startswith(other) for line in said("aloha"))


def test_a_message_names_the_file_that_was_asked_for(
    small_engine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actd.scaffold.text._robot_name", lambda robot: "not a name!")
    with pytest.raises(ConfigError) as caught:
        init(small_engine, tmp_path / "actd.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'actd.yaml'}:")


def test_a_folder_of_engines_names_them(small_engine: Path, tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    engine_like(small_engine, tmp_path / "engines" / "ort-fp32")
    with pytest.raises(EngineError, match=r"engines inside: ort-fp32; give one of them"):
        init(tmp_path / "engines", tmp_path / "actd.yaml")
    assert not (tmp_path / "actd.yaml").exists()


def test_what_an_engine_would_not_heed_is_refused(small_engine: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--fps 3 would change nothing; leave it out"):
        list(write_config(small_engine, tmp_path / "a.yaml", overrides=Overrides(fps=3.0)))


def test_a_folder_that_it_makes_is_named(small_engine: Path, tmp_path: Path) -> None:
    out = tmp_path / "robts" / "actd.yaml"
    assert f"note: {out.parent}: a new folder" in write_config(small_engine, out)
    again = write_config(small_engine, out, force=True)
    assert not any(line.endswith("a new folder") for line in again)
