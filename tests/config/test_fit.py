"""Whether a deployment fits its engine: what is refused, what is only told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from actd.config import Config, check_policy, fit_warnings, load, warnings
from actd.engine.manifest import read_manifest
from actd.errors import ConfigError
from actd.policy.spec import PolicySpec
from tests.engines import policy_spec

GOOD = """\
engine: engines/mine
robot:
  name: cup-left
  joints:
    waist: {position: [-1, 1], velocity: 2, acceleration: 10}
    elbow: {position: [-1, 1], velocity: 2, acceleration: 10}
cameras:
  top: {type: opencv, index_or_path: 0, width: 64, height: 48, fps: 30}
"""
SPEC = policy_spec(2, {"top": (48, 64)}, chunk_size=20, trained_hz=30)


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "actd.yaml"
    file.write_text(text)
    return load(file)


def rejection(config: Config, spec: PolicySpec) -> str:
    with pytest.raises(ConfigError) as caught:
        check_policy(config, spec, "actd.yaml")
    return str(caught.value)


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
    assert words in rejection(read(tmp_path, GOOD.replace(old, new, 1)), SPEC)


def test_resize_makes_another_size_fit(tmp_path: Path) -> None:
    text = GOOD.replace("width: 64, height: 48", "width: 640, height: 480, resize: [64, 48]")
    check_policy(read(tmp_path, text), SPEC, "actd.yaml")


def test_the_policy_plays_at_the_rate_of_its_data_whatever_the_ticks_do(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD + "control: {rate_hz: 200}\n")
    check_policy(config, SPEC, "actd.yaml")
    assert config.policy_hz(SPEC.trained_hz) == 30
    exact = read(tmp_path, GOOD + "control: {policy_hz: 29.97}\n")
    check_policy(exact, SPEC, "actd.yaml")
    assert exact.policy_hz(SPEC.trained_hz) == 29.97


@pytest.mark.parametrize(
    ("hz", "words"),
    [(50, "1.67 times too fast"), (200, "6.67 times too"), (15, "2 times too slow")],
)
def test_another_rate_is_refused(tmp_path: Path, hz: int, words: str) -> None:
    config = read(tmp_path, GOOD + f"control: {{policy_hz: {hz}}}\n")
    said = rejection(config, SPEC)
    assert said.startswith(f"actd.yaml: control.policy_hz: {hz}, but the engine was trained on 30")
    assert words in said
    assert f"export it again with --fps {hz}" in said


def test_a_rate_that_nobody_knows_must_be_given(tmp_path: Path) -> None:
    unknown = replace(SPEC, trained_hz=None)
    config = read(tmp_path, GOOD)
    words = "control.policy_hz: missing, and the engine does not know it; write the fps of the data"
    assert words in rejection(config, unknown)
    with pytest.raises(ConfigError, match="does not know it"):
        config.policy_hz(unknown.trained_hz)
    given = read(tmp_path, GOOD + "control: {policy_hz: 25}\n")
    check_policy(given, unknown, "actd.yaml")
    assert given.policy_hz(unknown.trained_hz) == 25


def told(config: Config, **statistics: list[float]) -> list[str]:
    spec = replace(SPEC, statistics={"action": {k: tuple(v) for k, v in statistics.items()}})
    return fit_warnings(config, spec)


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (-0.5, 0.9, ""),
        (-1.015, 1.015, ""),
        (-1.2, 0.9, "trained -1.2..0.9, allowed -1..1: what the policy commands beyond is cut off"),
        (40, 90, "trained 40..90, allowed -1..1: nothing in common: another unit, or another"),
        (-98, 99, "trained -98..99, allowed -1..1: the trained range is 98.5 times the allowed"),
        (0.1, 0.16, "the trained range is 3.0% of the allowed one: radians? Or a joint that"),
        (0.1, 0.1, ""),
    ],
)
def test_the_trained_range_is_held_against_the_allowed_one(
    tmp_path: Path, low: float, high: float, words: str
) -> None:
    config = read(tmp_path, GOOD)
    for names in (("min", "max"), ("q01", "q99")):
        lines = told(config, **{names[0]: [-0.9, low], names[1]: [0.9, high]})
        assert [line.startswith("robot.joints.elbow: ") for line in lines] == [True] * bool(words)
        assert all(words in line for line in lines)


def test_a_range_that_is_only_guessed_at_cuts_nothing_off(tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    assert told(config, mean=[0, 0], std=[0.5, 0.5]) == []
    (line,) = told(config, mean=[0, 0], std=[0.5, 0.01])
    assert "elbow: trained about -0.03..0.03, allowed -1..1: the trained range is 3.0%" in line
    assert told(config) == []


@pytest.mark.parametrize(
    ("joint", "words"),
    [
        ("delta_x: {", "robot.joints: actd commands absolute positions that the robot also meas"),
        ("x.vel: {", "x.vel: kind: position: the name says a speed: kind: velocity?"),
        ("left_gripper: {", "what it holds keeps a gripper from its place, which would be a FAULT"),
        ("left_gripper: {kind: gripper, ", ""),
        ("x.vel: {kind: velocity, ", "x.vel: acceleration: not used"),
    ],
)
def test_a_name_that_says_another_kind(tmp_path: Path, joint: str, words: str) -> None:
    config = read(tmp_path, GOOD.replace("elbow: {", joint))
    lines = told(config)
    assert len(lines) == bool(words)
    assert all(words in line for line in lines)


def test_the_policys_own_warnings_come_first_and_once(tmp_path: Path, small_engine: Path) -> None:
    config = read(tmp_path, GOOD.replace("elbow: {", "delta_x: {"))
    spec = replace(SPEC, names={"action": ("waist", "delta_x")})
    relative = "action: actd commands absolute positions that the robot also measures"
    manifest = read_manifest(small_engine).model_copy(
        update={"spec": spec, "warnings": (relative, "wrist never moved")}
    )
    assert warnings(config, manifest) == [relative, "wrist never moved"]


def test_radians_do_not_reach_that_far(tmp_path: Path) -> None:
    wide = GOOD.replace("[-1, 1]", "[-100, 100]")
    (line,) = told(read(tmp_path, wide), min=[-98, -98], max=[99, 99])
    assert line == "robot.units: rad, but trained to 99: degrees, or percent?"
    degrees = wide.replace("  joints:", "  units: degrees\n  joints:")
    assert told(read(tmp_path, degrees), min=[-98, -98], max=[99, 99]) == []


def test_degrees_reach_further(tmp_path: Path) -> None:
    some = GOOD.replace("[-1, 1]", "[-9, 9]").replace("  joints:", "  units: degrees\n  joints:")
    (line,) = told(read(tmp_path, some), min=[-1.6, -1.6], max=[1.5, 1.5])
    assert line == "robot.units: degrees, but trained to 1.6: radians?"
    assert told(read(tmp_path, some.replace("degrees", "mm")), min=[-2, -2], max=[2, 2]) == []


@pytest.mark.parametrize("key", ["action", "observation.state"])
def test_the_trained_order_of_the_joints_is_kept(key: str, tmp_path: Path) -> None:
    config = read(tmp_path, GOOD)
    check_policy(config, replace(SPEC, names={key: ("waist", "elbow")}), "actd.yaml")
    check_policy(config, replace(SPEC, names={key: ("m1", "m2")}), "actd.yaml")
    said = rejection(config, replace(SPEC, names={key: ("elbow", "waist")}))
    where = "robot.joints" if key == "action" else "robot.state"
    words = "the order is waist, elbow, trained was elbow, waist; use that order"
    assert said == f"actd.yaml: {where}: {words}"
