"""Deployment files: what is accepted, and how every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from actd.config import Config, check_policy, load
from actd.errors import ConfigError
from actd.policy.spec import Architecture, Feature, PolicySpec
from actd.resources import resource_dir

GOOD = """\
engine: engines/mine
robot:
  joints:
    waist: {position: [-1, 1], velocity: 2, acceleration: 10}
    elbow: {position: [-1, 1], velocity: 2, acceleration: 10, start_distance: 0.2}
cameras:
  top: {type: opencv, index_or_path: 0, width: 64, height: 48, fps: 30}
"""
SPEC = PolicySpec(
    inputs=(
        Feature("observation.state", "STATE", (2,)),
        Feature("observation.images.top", "VISUAL", (3, 48, 64)),
    ),
    action=Feature("action", "ACTION", (2,)),
    chunk_size=20,
    n_action_steps=20,
    temporal_ensemble_coeff=None,
    architecture=Architecture("resnet18", False, False, 64, 4, 128, "relu", 1, 1, 32),
)


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
    check_policy(config, SPEC, "actd.yaml")


def test_every_mistake_comes_at_once_with_its_place(tmp_path: Path) -> None:
    text = GOOD.replace("velocity: 2, acceleration: 10}", "velocty: 2, acceleration: -1}")
    text = text.replace("[-1, 1], velocity: 2", "[1, -1], velocity: 2")
    text += "control: {rate_hz: 5000, mode: temporl}\nlnk: {}\n"
    found = mistakes(tmp_path, text)
    assert found == [
        "actd.yaml:4:5 robot.joints.waist.velocity: missing",
        "actd.yaml:4:44 robot.joints.waist.acceleration: input should be greater than 0, found -1",
        "actd.yaml:4:32 robot.joints.waist.velocty: unknown key (did you mean velocity?)",
        "actd.yaml:5:5 robot.joints.elbow: position: [1, -1] must rise from smallest to largest",
        "actd.yaml:8:11 control.rate_hz: input should be less than or equal to 1000, found 5000",
        "actd.yaml:8:26 control.mode: input should be 'temporal', 'queue' or 'latest', "
        "found 'temporl'",
        "actd.yaml:9:1 lnk: unknown key (did you mean link?)",
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
    with pytest.raises(ConfigError, match="no such file: write one with `actd init"):
        load(tmp_path / "none.yaml")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "actd.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(file)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  top:", "  tap:", "cameras.tap: the policy has no such camera (it has top)"),
        ("  top:", "  tap:", "cameras.top: missing; the policy was trained with top"),
        ("width: 64, height: 48", "width: 640, height: 480", "trained on 64x48"),
        ("    elbow", "    more: {position: [0, 1], velocity: 1, acceleration: 1}\n    elbow",
         "3 joints listed, the policy commands 2"),
        ("cameras:", "control: {n_action_steps: 21}\ncameras:", "more than the chunk's 20 rows"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_the_policy(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    config = read(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        check_policy(config, SPEC, "actd.yaml")
    assert words in str(caught.value)


def test_resize_makes_another_size_fit(tmp_path: Path) -> None:
    text = GOOD.replace("width: 64, height: 48", "width: 640, height: 480, resize: [64, 48]")
    check_policy(read(tmp_path, text), SPEC, "actd.yaml")


@pytest.mark.parametrize("file", sorted(resource_dir("configs").glob("*.yaml")), ids=str)
def test_every_shipped_deployment_is_correct(file: Path) -> None:
    config = load(file)
    assert config.robot.joints
    assert config.cameras


def test_the_schema_describes_every_section() -> None:
    schema = Config.model_json_schema()
    assert {"engine", "robot", "cameras", "control", "staleness", "link", "process"} <= set(
        schema["properties"]
    )
