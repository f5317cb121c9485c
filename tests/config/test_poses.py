"""Poses of a deployment: what is refused by name, and writing one into a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actd.config import fit_warnings, load
from actd.config.pose_file import check_name, measured_pose, save_pose
from actd.errors import ConfigError, LinkError, UsageError
from tests.config.test_config import mistakes, read
from tests.config.test_fit import SPEC

ARM = """\
engine: engines/mine   # ours
robot:
    name: "cup-left"

    joints:
        waist:   {position: [-1, 1],  velocity: 2, acceleration: 10}   # turns
        elbow: {position: [0, 1], velocity: 2, acceleration: 10}
        hand: {kind: gripper, position: [0, 1], velocity: 2, acceleration: 10}
        wheel: {kind: velocity, position: [-1, 1], velocity: 2}
        wrist: {kind: continuous, velocity: 2, acceleration: 10}
    state:
        - waist
        - elbow
        - hand
        - wheel
        - wrist
# the end
"""
PARK = {"waist": 0.25, "elbow": 0.5, "hand": 1.0, "wrist": -2.0}
WRITTEN = "  park:\n    waist: 0.25\n    elbow: 0.5\n    hand: 1.0\n    wrist: -2.0\n"


@pytest.mark.parametrize(
    ("pose", "words"),
    [
        ("{waist: 0, elbow: 2, wrist: 0}", "poses.park.elbow: 2 is outside its limits 0 to 1"),
        ("{waist: 0, elbow: 0}", "poses.park: wrist missing; give them, or write all with `actd"),
        ("{waist: 0, elbow: 0, wrist: 0, wheel: 0}", "poses.park.wheel: a velocity joint has no"),
        ("{waist: 0, elbow: 0, wrist: 0, wrsit: 0}", "poses.park.wrsit: no such joint; robot.jo"),
        ("{waist: 0, elbow: .nan, wrist: 0}", "poses.park.elbow: input should be a finite number"),
        ("{waist: up, elbow: 0, wrist: 0}", "poses.park.waist: input should be a valid number"),
        ("[0, 0, 0]", "poses.park: Input should be a valid dictionary"),
    ],
)
def test_a_pose_that_cannot_be_is_named(tmp_path: Path, pose: str, words: str) -> None:
    (line,) = mistakes(tmp_path, f"{ARM}poses:\n  park: {pose}\n")
    assert words in line
    assert line.startswith("actd.yaml:")


def test_only_two_poses_are_known(tmp_path: Path) -> None:
    (line,) = mistakes(tmp_path, f"{ARM}poses: {{prak: {{waist: 0}}}}\n")
    assert "poses.prak: unknown key (did you mean park?)" in line
    with pytest.raises(UsageError, match="found 'home'; poses are start and park"):
        check_name("home")


def test_a_gripper_may_be_left_out(tmp_path: Path) -> None:
    config = read(tmp_path, f"{ARM}poses: {{start: {{waist: 0, elbow: 0, wrist: 9}}}}\n")
    assert config.poses.start == {"waist": 0.0, "elbow": 0.0, "wrist": 9.0}
    assert config.poses.park is None


def test_a_start_that_training_never_saw_is_told(tmp_path: Path) -> None:
    two = "\n".join(line for line in ARM.splitlines() if "kind" not in line and "- h" not in line)
    two = two.replace("        - wheel\n        - wrist\n", "")
    config = read(tmp_path, f"{two}\nposes: {{start: {{waist: -0.9, elbow: 0.1}}}}\n")
    low, high = SPEC.likely_range(SPEC.action.key) or ((), ())
    said = [line for line in fit_warnings(config, SPEC) if line.startswith("poses.start")]
    outside = [
        name
        for name, value, a, b in zip(("waist", "elbow"), (-0.9, 0.1), low, high, strict=False)
        if not a - 0.1 * (b - a) <= value <= b + 0.1 * (b - a)
    ]
    assert [line.split(":")[0] for line in said] == [f"poses.start.{name}" for name in outside]


# --- writing


def saved(tmp_path: Path, text: str, name: str = "park") -> str:
    file = tmp_path / "actd.yaml"
    file.write_text(text)
    save_pose(file, name, PARK)
    assert load(file).poses.model_dump()[name] == PARK
    return file.read_text()


def test_a_pose_is_added_and_all_else_stays_to_the_letter(tmp_path: Path) -> None:
    assert saved(tmp_path, ARM) == f"{ARM}\nposes:\n{WRITTEN}"


def test_a_pose_that_is_there_is_replaced(tmp_path: Path) -> None:
    start = "  start: {waist: 0, elbow: 0, wrist: 0}  # by hand\n"
    more = "\ncontrol: {rate_hz: 30}  # slow\n"
    for old in (
        "  park: {waist: 0, elbow: 0, wrist: 0}\n",
        "  park:\n    waist: 0\n    elbow: 0\n    wrist: 0   # straight\n",
        "",
    ):
        again = saved(tmp_path, f"{ARM}poses:  # two\n{old}{start}{more}")
        assert again == f"{ARM}poses:  # two\n{WRITTEN}{start}{more}"


def test_where_there_was_none_yet(tmp_path: Path) -> None:
    for empty in ("poses:\n", "poses: {}\n", "poses: null\n"):
        again = saved(tmp_path, f"{empty}{ARM}")
        assert again == f"poses:\n{WRITTEN}{ARM}"


def test_a_file_without_a_last_line_end(tmp_path: Path) -> None:
    assert saved(tmp_path, ARM.rstrip("\n")) == f"{ARM}\nposes:\n{WRITTEN}"


def test_the_indentation_is_the_files_own(tmp_path: Path) -> None:
    begin, start = f"{ARM}poses:\n", "      start: {waist: 0, elbow: 0, wrist: 0}\n"
    deeper = "".join(f"    {line}\n" for line in WRITTEN.splitlines())
    assert saved(tmp_path, begin + start) == begin + deeper + start


@pytest.mark.parametrize(
    "poses",
    [
        "poses: {start: {waist: 0, elbow: 0, wrist: 0}}\n",
        "poses:\n  park:\n    {waist: 0, elbow: 0,\n  wrist: 0}\n",
    ],
)
def test_a_layout_of_ones_own_is_left_alone(tmp_path: Path, poses: str) -> None:
    file = tmp_path / "actd.yaml"
    file.write_text(ARM + poses)
    with pytest.raises(ConfigError, match="add it yourself: park: "):
        save_pose(file, "park", PARK)
    assert file.read_text() == ARM + poses


def test_a_pose_beyond_the_limits_is_not_written(tmp_path: Path) -> None:
    file = tmp_path / "actd.yaml"
    file.write_text(ARM)
    with pytest.raises(ConfigError) as caught:
        save_pose(file, "park", {**PARK, "elbow": -0.1})
    assert f"{file}:" in str(caught.value)
    assert "poses.park.elbow: -0.1 is outside its limits 0 to 1" in str(caught.value)
    assert file.read_text() == ARM
    assert [path.name for path in tmp_path.iterdir()] == ["actd.yaml"]


def test_a_link_stays_one_and_so_does_the_mode(tmp_path: Path) -> None:
    file, link = tmp_path / "real.yaml", tmp_path / "actd.yaml"
    file.write_text(ARM)
    file.chmod(0o640)
    link.symlink_to(file)
    save_pose(link, "start", PARK)
    assert link.is_symlink()
    assert file.stat().st_mode & 0o777 == 0o640
    assert load(link).poses.start == PARK


letters = st.characters(categories=("L", "N", "P", "S", "Zs"), max_codepoint=0xD7FF)
names = st.text(letters, min_size=1, max_size=12)


@hypothesis_settings(max_examples=60, deadline=None)
@given(joints=st.lists(names, min_size=1, max_size=4, unique=True), value=st.floats(-1, 1))
@example(joints=["...", "---", "y", "1.5", "~"], value=0.5)
def test_any_name_of_a_joint_is_written_so_that_it_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, joints: list[str], value: float
) -> None:
    limits = "{position: [-1, 1], velocity: 2, acceleration: 10}"
    lines = [f"    {json.dumps(name)}: {limits}\n" for name in joints]
    text = "".join(["engine: e\nrobot:\n  name: a\n  joints:\n", *lines])
    file = tmp_path_factory.mktemp("pose") / "actd.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        load(file)
    except ConfigError:
        return  # nothing that a deployment can name
    save_pose(file, "park", dict.fromkeys(joints, value))
    assert load(file).poses.park == dict.fromkeys(joints, value)


# --- measuring


def test_only_what_is_measured_now_is_a_pose(tmp_path: Path) -> None:
    config = read(tmp_path, ARM)
    positions = {"waist": 0.2512345678, "elbow": 0.5, "hand": 1.0, "wheel": 0.1, "wrist": -2.0}
    assert measured_pose(config, positions, 20.0) == {**PARK, "waist": 0.251235}
    for age_ms, words in ((None, "nothing yet"), (900.0, r"900 ms old \(limit 200 ms\)")):
        with pytest.raises(LinkError, match=f"robot state: {words}"):
            measured_pose(config, positions, age_ms)
    with pytest.raises(LinkError, match="the daemon has waist, arm; it was started with another"):
        measured_pose(config, {"waist": 0.0, "arm": 0.0}, 20.0)
