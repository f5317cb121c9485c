"""`actd init` with the dataset of the training: nothing that it tells is left to guess."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from actd.config import Config, check_policy, fit_warnings, load, warnings
from actd.datasets import open_dataset
from actd.engine.manifest import MANIFEST, read_manifest, write_manifest
from actd.errors import RecordingError, UsageError
from actd.replay.limits import check_dataset
from actd.runtime.settings import control_without_policy
from actd.scaffold import write_config
from actd.scaffold.knowledge import learn
from actd.scaffold.text import CHECK
from tests.policy.edit import edit_json
from tests.scaffold.arm import HOME, JOINTS, write_arm_engine, write_demonstrations


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_arm_engine(tmp_path_factory.mktemp("engine") / "ort-fp32")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demonstrations(tmp_path_factory.mktemp("set") / "cup")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "actd.yaml"


def guesses(out: Path) -> list[str]:
    """The lines left to guess, but for which device a camera is."""
    lines = out.read_text().splitlines()
    return [line for line in lines if CHECK in line and "which device" not in line]


def test_nothing_is_left_to_guess(engine: Path, dataset: Path, out: Path) -> None:
    said = list(write_config(engine, out, dataset=str(dataset)))
    assert guesses(out) == []
    assert "TODO" not in out.read_text()
    config = load(out)
    assert list(config.robot.joints) == list(JOINTS)
    assert (config.control.rate_hz, config.control.policy_hz) == (50, 30)
    assert config.robot.units.startswith("degrees")
    assert config.poses.start == pytest.approx(dict(zip(JOINTS, HOME, strict=True)), abs=0.05)
    rates = "rates: 30 rows per second (the fps of the training data), 50 commands per second"
    assert rates in said
    assert "joints: 5 position, 1 gripper; never moved in training: wrist_roll.pos" in said
    assert "left to guess: 1, the lines marked `check:`" in said  # the camera
    spec = learn(engine, str(dataset), None).spec
    check_policy(config, spec, str(out))
    assert fit_warnings(config, spec) == []


def test_limits_keep_to_the_demonstrations_and_are_held_against_them(
    engine: Path, dataset: Path, out: Path
) -> None:
    said = list(write_config(engine, out, dataset=str(dataset)))
    config, actions = load(out), open_dataset(dataset).actions(0)
    (words,) = [line for line in said if line.startswith("limits on")]
    report = check_dataset(open_dataset(dataset), control_without_policy(config, 1, 30.0))
    assert report.fired.max() < 0.002
    assert f"limits on {report.ticks} ticks of 6 episodes: would act on a joint " in words
    lift = config.robot.joints["shoulder_lift.pos"]
    assert lift.position is not None
    assert lift.position[0] < actions[:, 1].min() < actions[:, 1].max() < lift.position[1]
    # as fast as the demonstrations, and not much faster
    fastest = np.abs(np.diff(actions[:, 1])).max() * 30
    assert 0.8 * fastest < lift.velocity < 3 * fastest


def test_the_count_is_that_of_the_limits_as_written(
    engine: Path, dataset: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actd.scaffold.joints.MARGIN", 0.5)
    said = list(write_config(engine, out, dataset=str(dataset)))
    (words,) = [line for line in said if line.startswith("limits on")]
    assert "velocity 0," not in words
    assert ", most at " in words


def test_what_the_dataset_told_at_export_is_known_on_the_robot(
    engine: Path, dataset: Path, out: Path, tmp_path: Path
) -> None:
    list(write_config(engine, out, dataset=str(dataset)))
    known = learn(engine, str(dataset), None)
    manifest = read_manifest(engine).model_copy(
        update={"spec": known.spec, "motion": known.motion, "training": known.training}
    )
    robot = tmp_path / "robot"
    robot.mkdir()
    write_manifest(robot, manifest)
    said = list(write_config(robot, robot / "actd.yaml"))
    assert guesses(robot / "actd.yaml") == []
    here, there = YAML().load(robot / "actd.yaml"), YAML().load(out)
    assert here["robot"]["joints"] == there["robot"]["joints"]
    assert here["control"] == there["control"]
    assert not any("limits on" in line for line in said)  # there is nothing to hold them against
    assert warnings(load(robot / "actd.yaml"), read_manifest(robot)) == list(manifest.warnings)


@pytest.mark.parametrize(
    ("scale", "units"), [(1.0, "degrees, gripper 0 to 100"), (np.pi / 180, "rad")]
)
def test_units_are_guessed_from_the_ranges_and_said(
    scale: float, units: str, engine: Path, out: Path, tmp_path: Path
) -> None:
    data = write_demonstrations(tmp_path / "set", 3, scale)
    said = list(write_config(engine, out, dataset=str(data)))
    assert load(out).robot.units.startswith(units)
    assert any(line.startswith(f"units: {units} (positions reach ") for line in said)


def test_the_dataset_that_the_files_name_is_found(
    engine: Path, dataset: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "lerobot"))
    named = tmp_path / "named"
    shutil.copytree(engine, named)
    edit_json(named / MANIFEST, lambda data: data.update(training={"dataset": "lab/cup"}))
    said = list(write_config(named, out))
    assert (
        "note: trained on lab/cup, which is not on this computer: --dataset lab/cup fetches its "
        "numbers (no videos), and leaves less to guess"
    ) in said
    assert guesses(out)
    hub = tmp_path / "lerobot/hub/datasets--lab--cup"
    (hub / "refs").mkdir(parents=True)
    (hub / "refs/main").write_text("abc")
    shutil.copytree(dataset, hub / "snapshots/abc")
    said = list(write_config(named, out, force=True))
    assert "limits: from 900 rows of 6 episodes of lab/cup" in said
    assert guesses(out) == []


def test_another_dataset_is_refused_where_it_was_asked_for(
    engine: Path, dataset: Path, out: Path, tmp_path: Path
) -> None:
    known = learn(engine, str(dataset), None)
    trained = tmp_path / "trained"
    trained.mkdir()
    spec = replace(known.spec, names={})
    write_manifest(trained, read_manifest(engine).model_copy(update={"spec": spec}))
    radians = write_demonstrations(tmp_path / "radians", 3, np.pi / 180)
    with pytest.raises(UsageError) as caught:
        list(write_config(trained, out, dataset=str(radians)))
    assert str(caught.value).startswith(f"--dataset: {radians}: not what the policy was trained on")
    assert "; give the dataset of its training, or leave --dataset out" in str(caught.value)
    assert not out.exists()
    two = write_demonstrations(tmp_path / "two", 1, joints=JOINTS, robot_type=None)
    edit_json(two / "meta/info.json", lambda info: info["features"].pop("action"))
    with pytest.raises(RecordingError, match="has no feature `action`"):
        list(write_config(trained, out, dataset=str(two)))
    with pytest.raises(UsageError, match=r"no such folder; give the folder that holds meta/"):
        list(write_config(trained, out, dataset="gone"))


def test_a_damaged_dataset_that_nobody_asked_for_is_a_note(
    engine: Path, dataset: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "lerobot"))
    shutil.copytree(dataset, tmp_path / "lerobot/lab/cup")
    shutil.rmtree(tmp_path / "lerobot/lab/cup/data")
    named = tmp_path / "named"
    shutil.copytree(engine, named)
    edit_json(named / MANIFEST, lambda data: data.update(training={"dataset": "lab/cup"}))
    (note,) = [line for line in write_config(named, out) if "are not known from it" in line]
    assert "the dataset is not complete" in note
    load(out)


@pytest.mark.parametrize(
    "names",
    [
        [list(JOINTS)],
        {"motors": list(JOINTS)},
        {name: index for index, name in enumerate(JOINTS)},
        [name.replace(".pos", "") for name in JOINTS],
        [f"main_{name.removesuffix('.pos')}" for name in JOINTS],
    ],
)
def test_names_in_every_form_and_of_every_age(
    names: object, engine: Path, dataset: Path, out: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(dataset, tmp_path / "set")
    info = json.loads((copy / "meta/info.json").read_text())
    info["features"]["action"]["names"] = names
    (copy / "meta/info.json").write_text(json.dumps(info))
    list(write_config(engine, out, dataset=str(copy)))
    assert list(load(out).robot.joints) == list(JOINTS)
    assert guesses(out) == []


def test_names_that_the_driver_does_not_know_are_taken_by_place_and_said(
    engine: Path, dataset: Path, out: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(dataset, tmp_path / "set")
    for key in ("action", "observation.state"):
        edit_json(
            copy / "meta/info.json",
            lambda info, key=key: info["features"][key].update(names=[f"m{k}" for k in range(6)]),
        )
    list(write_config(engine, out, dataset=str(copy)))
    assert list(load(out).robot.joints) == list(JOINTS)
    (line,) = guesses(out)
    assert "by their places, m0 is shoulder_pan.pos, m1 is shoulder_lift.pos" in line


def test_an_unknown_robot_gets_the_names_of_its_dataset(
    engine: Path, dataset: Path, out: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(dataset, tmp_path / "set")
    edit_json(copy / "meta/info.json", lambda info: info.update(robot_type="my_arm"))
    names = ["a.pos", "b.pos", "c.pos", "d.pos", "e.vel", "claw_gripper"]
    for key in ("action", "observation.state"):
        edit_json(
            copy / "meta/info.json",
            lambda info, key=key: info["features"][key].update(names=names),
        )
    list(write_config(engine, out, dataset=str(copy)))
    config: Config = load(out)
    assert list(config.robot.joints) == names
    assert [joint.kind for joint in config.joints] == [*["position"] * 4, "velocity", "gripper"]
    assert guesses(out) == []


def test_another_rate_than_the_trainings_is_said(engine: Path, out: Path, tmp_path: Path) -> None:
    slow = write_demonstrations(tmp_path / "slow", 2, fps=10)
    trained = tmp_path / "trained"
    trained.mkdir()
    manifest = read_manifest(engine)
    spec = replace(manifest.spec, trained_hz=30.0)
    write_manifest(trained, manifest.model_copy(update={"spec": spec}))
    said = list(write_config(trained, out, dataset=str(slow)))
    assert load(out).control.policy_hz == 30
    words = "recorded at 10 rows per second, the policy was trained at 30"
    assert any(words in line for line in said)
