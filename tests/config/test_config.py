"""Deployment files: what is accepted, and how every mistake is named."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from actd.config import Config, load
from actd.errors import ConfigError
from actd.resources import resource_dir

GOOD = """\
engine: engines/mine
robot:
  name: cup-left
  joints:
    waist: {position: [-1, 1], velocity: 2, acceleration: 10}
    elbow: {position: [-1, 1], velocity: 2, acceleration: 10, start_distance: 0.2}
cameras:
  top: {type: opencv, index_or_path: 0, width: 64, height: 48, fps: 30}
"""


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "actd.yaml"
    file.write_text(text)
    return load(file)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert caught.value.exit_code == 78
    return str(caught.value).replace(str(tmp_path) + "/", "").splitlines()


def test_defaults_and_relative_paths(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD.replace("index_or_path: 0", "index_or_path: frames.avi"))
    assert config.engine == tmp_path / "engines/mine"
    assert config.cameras["top"].path == str(tmp_path / "frames.avi")
    assert config.link.ports.actions == 9872
    assert config.control.rate_hz == 50
    assert list(config.robot.joints) == ["waist", "elbow"]
    assert (config.observation.on_skew, config.staleness.chunk_ms) == ("refuse", None)


def test_every_mistake_comes_at_once_with_its_place(tmp_path: Path) -> None:
    text = GOOD.replace("velocity: 2, acceleration: 10}", "velocty: 2, acceleration: -1}")
    text = text.replace("[-1, 1], velocity: 2", "[1, -1], velocity: 2")
    text += "control: {rate_hz: 5000, mode: temporl}\nlnk: {}\n"
    assert mistakes(tmp_path, text) == [
        "actd.yaml:5:5 robot.joints.waist.velocity: missing: largest change per second, unit/s: "
        "the speed of a joint that is told a place, the acceleration of one that is told a speed.",
        "actd.yaml:5:44 robot.joints.waist.acceleration: input should be greater than 0, found -1",
        "actd.yaml:5:32 robot.joints.waist.velocty: unknown key (did you mean velocity?)",
        "actd.yaml:6:5 robot.joints.elbow: position: [1, -1] must rise from smallest to largest",
        "actd.yaml:9:11 control.rate_hz: input should be less than or equal to 1000, found 5000",
        "actd.yaml:9:26 control.mode: input should be 'temporal', 'queue' or 'latest', "
        "found 'temporl'",
        "actd.yaml:10:1 lnk: unknown key (did you mean link?)",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a map with engine, robot and cameras"),
        ("- 1\n", "expected a map"),
        ("engine: [\n", "actd.yaml:2:1: not YAML"),
        ("a: 1\na: 2\n", "not YAML"),
        ("engine: \tx\n  y: 1", "not YAML"),
        ("engine: e\n", "actd.yaml:1:1 robot: missing"),
        ("engine: 3\n", "actd.yaml:1:1 engine: expected a path, found 3"),
        (GOOD + "link: {host: 0.0.0.0}\n", "link: host: '0.0.0.0' is reachable"),
        (GOOD + "link: {state_port: 9872}\n", "link: the four ports must differ"),
        (GOOD + "link: {state_port: 99999}\n", "link.state_port"),
        (GOOD.replace("fps: 30", "fourc: MJPG"), "did you mean fourcc?"),
        (GOOD.replace("  joints:", "  state: [waist]\n  joints:"), "joints elbow are commanded"),
        (GOOD + "control: {rate_hz: .nan}\n", "control.rate_hz"),
        (GOOD + "process: {tick: {cores: [0, 0]}}\n", "process.tick.cores: [0, 0] names a core"),
        (GOOD + "process: {cameras: {cores: []}}\n", "process.cameras.cores: no core is named"),
        (GOOD + "process: {inference: {cores: [0, 999]}}\n", "this computer has no core 999"),
        (GOOD + "process: {recorder: {core: [0]}}\n", "unknown key (did you mean cores?)"),
        (GOOD + "process: {tick_priority: 60}\n", "process.tick_priority: unknown key"),
    ],
)
def test_one_mistake_one_line(tmp_path: Path, text: str, words: str) -> None:
    lines = mistakes(tmp_path, text)
    assert any(words in line for line in lines), lines
    assert all(line.startswith("actd.yaml") for line in lines)


def test_a_missing_file_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; correct its name, or write one with"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "actd.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file)


JOINT = "elbow: {position: [-1, 1], velocity: 2, acceleration: 10, start_distance: 0.2}"


@pytest.mark.parametrize(
    ("joint", "words"),
    [
        ("{velocity: 2, acceleration: 10}", "elbow: position: missing"),
        ("{position: [-1, 1], velocity: 2}", "elbow: acceleration: missing"),
        (
            "{position: [-.inf, 1], velocity: 2, acceleration: 10}",
            "robot.joints.elbow.position.0: input should be a finite number, found -inf",
        ),
        (
            "{position: [-1, 1], velocity: .nan, acceleration: 10}",
            "robot.joints.elbow.velocity: input should be",
        ),
        (
            "{position: [-1, 1], velocity: 2, acceleration: .inf}",
            "robot.joints.elbow.acceleration: input should be a finite number, found inf",
        ),
        (
            "{position: [-1, 1], velocity: 2, acceleration: 10, jerk: 100}",
            "robot.joints.elbow.jerk: unknown key",
        ),
        (
            "{kind: wheel, position: [-1, 1], velocity: 2, acceleration: 10}",
            "robot.joints.elbow.kind: input should be 'position', 'velocity', 'gripper' or "
            "'continuous', found 'wheel'",
        ),
        (
            "{kind: velocity, position: [0.1, 1], velocity: 2}",
            "elbow: position: [0.1, 1] does not allow 0, where a velocity joint rests",
        ),
        (
            "{kind: continuous, position: [-1, 1], velocity: 2, acceleration: 10}",
            "elbow: position: a continuous joint has no ends; remove it, or the kind",
        ),
        (
            "{position: [-1, 1], velocity: 2, acceleration: 10, turn: 4}",
            "elbow: turn: only a continuous joint has one; add kind: continuous",
        ),
        (
            "{position: [-1, 1], velocity: 2, acceleration: 0.3}",
            "elbow: acceleration: 0.3 takes 6.67 s from 2 to rest, and the arm must stop within "
            "5 s; give at least 0.4, or lower the speed",
        ),
        (
            "{kind: velocity, position: [-3, 1], velocity: 0.5}",
            "elbow: velocity: 0.5 takes 6 s from 3 to rest, and the arm must stop within 5 s; "
            "give at least 0.6, or lower the speed",
        ),
        (
            "{position: [-1, 1], velocity: 2, acceleration: 10, start_distance: 0.3}",
            "elbow.start_distance: 0.3 is more than an eighth of the range (2) and cannot tell "
            "degrees from radians; give at most 0.25",
        ),
    ],
)
def test_a_joint_that_cannot_be(tmp_path: Path, joint: str, words: str) -> None:
    (line,) = mistakes(tmp_path, GOOD.replace(JOINT, f"elbow: {joint}"))
    assert line.startswith("actd.yaml:6:")
    assert words in line


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("name: ''", "robot.name: use 1 to 64 of the characters A-Z a-z 0-9 . _ -, such as"),
        ("name: left arm", "found 'left arm'"),
        ("name: " + 65 * "x", "robot.name: use 1 to 64"),
        (
            "units: rad",
            "robot.name: missing: names this robot in every message, so that no command reaches "
            "another one; such as aloha-left.",
        ),
    ],
)
def test_a_robot_needs_a_name(tmp_path: Path, name: str, words: str) -> None:
    (line,) = mistakes(tmp_path, GOOD.replace("name: cup-left", name))
    assert words in line


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (
            "link: {ttl_ms: 39}",
            "9:8 link.ttl_ms: 39 ms is less than two control periods, so a single late message "
            "stops the arm; give at least 40 ms, or raise control.rate_hz",
        ),
        (
            "control: {rate_hz: 10}",
            "1:1 link.ttl_ms: 100 ms is less than two control periods, so a single late message "
            "stops the arm; give at least 200 ms, or raise control.rate_hz",
        ),
        (
            "staleness: {state_ms: 5}",
            "9:13 staleness.state_ms: 5 ms is less than two control periods, and the robot sends "
            "one state a period; give at least 40 ms, or raise control.rate_hz",
        ),
        (
            "staleness: {controller_ms: 30}",
            "9:13 staleness.controller_ms: 30 ms is less than two control periods, and the robot "
            "sends one acknowledgement a period; give at least 40 ms, or raise control.rate_hz",
        ),
        (
            "staleness: {camera_ms: 40}",
            "9:13 staleness.camera_ms: 40 ms is less than one and a half frames and the "
            "latency_ms of cameras.top, which is then always late; give at least 50 ms",
        ),
        (
            "staleness: {fault_after_ms: 90}",
            "9:13 staleness.fault_after_ms: 90 ms is less than link.ttl_ms (100), for which the "
            "arm goes on by itself; give at least 100 ms",
        ),
    ],
)
def test_sections_that_do_not_fit_together(tmp_path: Path, more: str, line: str) -> None:
    assert mistakes(tmp_path, GOOD + more + "\n") == [f"actd.yaml:{line}"]


def test_a_slow_camera_may_take_its_time(tmp_path: Path) -> None:
    slow = GOOD.replace("fps: 30", "fps: 5, latency_ms: 250")
    (line,) = mistakes(tmp_path, slow)
    assert line.endswith("give at least 550 ms")
    config = read(tmp_path, slow + "staleness: {camera_ms: 550}\n")
    assert config.cameras["top"].latency_ms == 250


def test_what_does_not_fit_together_is_told_beside_what_is_wrong(tmp_path: Path) -> None:
    """A broken section hides nothing about the others."""
    text = GOOD.replace("fps: 30", "fps: -1").replace("acceleration: 10}", "acceleration: 0.1}")
    text += "link: {ttl_ms: 5}\nstaleness: {state_ms: 5}\nflight: {max_gb: 1}\n"
    starts = [line.split(": ")[0].split(" ")[1] for line in mistakes(tmp_path, text)]
    assert starts == [
        "cameras.top.fps",
        "flight.max_gb",
        "link.ttl_ms",
        "staleness.state_ms",
        "robot.joints.waist",
    ]


def test_a_common_start_distance_is_held_against_the_narrowest_joint(tmp_path: Path) -> None:
    text = GOOD.replace("  joints:", "  start_distance: 0.3\n  joints:")
    (line,) = mistakes(tmp_path, text)
    assert "actd.yaml:4:3 robot.start_distance: 0.3 is more than an eighth of the range of" in line
    assert "waist (2)" in line
    wider = text.replace("waist: {position: [-1, 1]", "waist: {position: [-3, 3]")
    waist, elbow = read(tmp_path, wider).joints
    assert (waist.start_distance, elbow.start_distance) == (0.3, 0.2)


def test_every_default_of_a_joint(tmp_path: Path) -> None:
    text = """\
engine: e
robot:
  name: r
  units: Radians, gripper 0..1
  follow_distance: 0.4
  joints:
    plain: {position: [-1, 3], velocity: 2, acceleration: 10}
    own: {position: [-1, 3], velocity: 2, acceleration: 10, start_distance: 0.1,
          follow_distance: 0.2, actuation_latency_ms: 30, interpolation: hold}
    wrist: {kind: continuous, velocity: 2, acceleration: 10}
    table: {kind: continuous, velocity: 90, acceleration: 900, turn: 360}
    hand: {kind: gripper, position: [0, 1], velocity: 3, acceleration: 30}
    wheel: {kind: velocity, position: [-0.5, 0.5], velocity: 1}
control: {actuation_latency_ms: 10, interpolation: smooth}
"""
    joints = {joint.name: joint for joint in read(tmp_path, text).joints}
    start = {name: joint.start_distance for name, joint in joints.items()}
    assert start == pytest.approx(
        {"plain": 0.32, "own": 0.1, "wrist": 0.502655, "table": 28.8, "hand": 1, "wheel": 1}
    )
    follow = {name: joint.follow_distance for name, joint in joints.items()}
    assert follow == {
        "plain": 0.4, "own": 0.2, "wrist": 0.4, "table": 0.4, "hand": None, "wheel": None,
    }  # fmt: skip
    assert [joint.turn for joint in joints.values()] == [None, None, math.tau, 360, None, None]
    assert (joints["plain"].lower, joints["plain"].upper) == (-1, 3)
    assert (joints["wrist"].lower, joints["wrist"].upper) == (None, None)
    assert [j.actuation_latency_ms for j in joints.values()] == [10, 30, 10, 10, 10, 10]
    assert [j.interpolation for j in joints.values()] == ["smooth", "hold", *["smooth"] * 4]


def test_a_joint_follows_as_closely_as_it_starts(tmp_path: Path) -> None:
    waist, elbow = read(tmp_path, GOOD).joints
    assert (waist.start_distance, waist.follow_distance) == (0.16, 0.16)
    assert (elbow.start_distance, elbow.follow_distance) == (0.2, 0.2)


def test_a_turn_comes_from_the_units_or_is_given(tmp_path: Path) -> None:
    text = GOOD.replace(JOINT, "elbow: {kind: continuous, velocity: 2, acceleration: 10}")
    assert read(tmp_path, text).joints[1].turn == math.tau
    other = text.replace("  joints:", "  units: percent\n  joints:")
    (line,) = mistakes(tmp_path, other)
    assert "robot: joints: elbow: how much is a turn? units 'percent' begin with neither" in line
    given = other.replace("kind: continuous", "kind: continuous, turn: 200")
    assert read(tmp_path, given).joints[1].turn == 200
    degrees = other.replace("percent", "Degrees")
    assert read(tmp_path, degrees).joints[1].turn == 360


@pytest.mark.parametrize("file", sorted(resource_dir("configs").glob("*.yaml")), ids=str)
def test_every_shipped_deployment_is_correct(file: Path) -> None:
    config = load(file)
    assert config.robot.name == file.stem
    assert config.cameras
    kinds = {joint.name: joint.kind for joint in config.joints}
    assert {name for name in kinds if "gripper" in name} == {
        name for name, kind in kinds.items() if kind == "gripper"
    }


def test_the_schema_describes_every_section() -> None:
    schema = Config.model_json_schema()
    assert {"engine", "robot", "cameras", "control", "staleness", "link", "process"} <= set(
        schema["properties"]
    )
