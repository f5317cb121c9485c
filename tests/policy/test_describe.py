"""What `actd inspect` says, to people and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.codec import decode, encode
from actd.errors import UsageError
from actd.policy.checkpoint import load_checkpoint, open_checkpoint
from actd.policy.describe import Description
from actd.policy.network import Policy
from actd.policy.spec import PolicySpec
from tests import golden, layouts
from tests.policy.edit import edit_json, edit_tensors, put

PRE_STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
POST_STATE = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
TOP = "observation.images.top"


def described(folder: Path) -> dict[str, Any]:
    return Description(open_checkpoint(folder), "next").to_dict()


def test_everything_is_told_in_json(tmp_path: Path) -> None:
    folder = layouts.write_lerobot_0_1("mixed_sizes_pre_norm_env", tmp_path / "checkpoint")
    done = CliRunner().invoke(app, ["inspect", str(folder), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["checkpoint_format"] == "lerobot-0.1"
    assert told["inputs"][1] == {
        "key": "observation.environment_state",
        "type": "ENV",
        "shape": [5],
        "normalization": "IDENTITY",
    }
    assert told["cameras"] == ["wrist", "top", "side"]
    assert (told["chunk_size"], told["n_action_steps"]) == (10, 10)
    assert told["temporal_ensemble_coeff"] is None
    assert told["architecture"]["vision_backbone"] == "resnet18"
    assert told["architecture"]["pre_norm"] is True
    assert (told["fps"], told["joints"]) == (None, [])
    assert told["next"] == f"actd export {folder} --out engines/mine"
    tensors = Policy(load_checkpoint(folder)).network.state_dict().values()
    assert told["parameters"] == sum(tensor.numel() for tensor in tensors)


def test_people_read_the_same(tmp_path: Path) -> None:
    folder = golden.write_checkpoint("two_cameras", tmp_path / "checkpoint")
    edit_json(
        folder / "config.json",
        lambda d: d.update(temporal_ensemble_coeff=0.01, n_action_steps=1),
    )
    done = CliRunner().invoke(app, ["inspect", str(folder)])
    assert done.exit_code == 0, done.output
    for words in (
        "LeRobot 0.4 or newer (has policy_preprocessor.json)",
        "3x96x128",
        "MEAN_STD (ImageNet)",
        "coefficient 0.01: the oldest prediction most",
        "resnet18",
        "next: actd export",
    ):
        assert words in done.stdout


def test_an_original_is_described_with_its_options(tmp_path: Path) -> None:
    folder = layouts.write_original(tmp_path / "run")
    options = [*layouts.ORIGINAL_HINTS.options(), "--color", "rgb"]
    done = CliRunner().invoke(app, ["inspect", str(folder), *options])
    assert done.exit_code == 0, done.output
    assert "fps         50" in done.stdout
    assert f"actd export {folder} {' '.join(options)} --out" in done.stdout
    bare = CliRunner().invoke(app, ["inspect", str(folder)])
    assert isinstance(bare.exception, UsageError)
    assert bare.exception.exit_code == 2


def test_torch_is_not_needed(pristine: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['actd', 'inspect', sys.argv[1]]\n"
        "from actd.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(pristine)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "recognised" in done.stdout


def test_the_training_is_told_where_it_is_known(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run" / "010000"
    run.mkdir(parents=True)
    checkpoint = folder.rename(run / "pretrained_model")
    config = {"dataset": {"repo_id": "lab/cup", "root": None}, "batch_size": 8, "steps": 20000}
    (checkpoint / "train_config.json").write_text(json.dumps(config))
    (run / "training_state").mkdir()
    (run / "training_state" / "training_step.json").write_text('{"step": 10000}')
    told = described(checkpoint)
    known = {"dataset": "lab/cup", "step": 10000, "batch_size": 8}
    assert {k: v for k, v in told["training"].items() if v is not None} == known
    assert told["fps"] is None

    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "datasets"))
    meta = tmp_path / "datasets" / "lab" / "cup" / "meta"
    meta.mkdir(parents=True)
    names = ["pan", "lift", "grip"]
    vector = {"dtype": "float32", "shape": [3]}
    features = {
        "action": {**vector, "names": {"motors": names}},
        "observation.state": {**vector, "names": names},
    }
    info = {"fps": 30, "robot_type": "so101_follower", "features": features}
    (meta / "info.json").write_text(json.dumps(info))
    told = described(checkpoint)
    assert (told["fps"], told["joints"], told["state_names"]) == (30, names, names)
    assert told["training"]["robot_type"] == "so101_follower"
    assert not any("joints" in warning for warning in told["warnings"])
    spec = load_checkpoint(checkpoint).spec
    assert spec.trained_hz == 30
    assert spec.names == {"action": tuple(names), "observation.state": tuple(names)}
    assert decode(PolicySpec, json.loads(json.dumps(encode(spec)))).names == spec.names

    features["action"]["names"] = ["actions"]
    (meta / "info.json").write_text(json.dumps(info))
    told = described(checkpoint)
    assert (told["joints"], told["warnings"]) == ([], [])
    assert "dataset lab/cup: action: 1 names for 3 values, so they are numbered" in told["notes"]

    features["action"] |= {"shape": [4], "names": [*names, "wrist"]}
    (meta / "info.json").write_text(json.dumps(info))
    assert any("has 4 joints" in warning for warning in described(checkpoint)["warnings"])


@pytest.mark.parametrize("revision", [None, "main", "v3.0"])
def test_a_dataset_that_lerobot_downloaded_is_found(
    revision: str | None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"dataset": {"repo_id": "lab/cup", "root": None, "revision": revision}}
    (folder / "train_config.json").write_text(json.dumps(config))
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path))
    download = tmp_path / "hub" / "datasets--lab--cup"
    (download / "refs").mkdir(parents=True)
    for number, (commit, branch) in enumerate((("abc", "main"), ("def", "v3.0"))):
        (download / "refs" / branch).write_text(commit)
        meta = download / "snapshots" / commit / "meta"
        meta.mkdir(parents=True)
        (meta / "info.json").write_text(json.dumps({"fps": 20 + number, "features": {}}))
    told = described(folder)
    assert told["fps"] == (21 if revision == "v3.0" else 20)
    assert told["training"]["dataset_revision"] == revision


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HF_HOME"])
def test_a_dataset_that_the_hubs_own_tools_downloaded(
    variable: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"dataset": {"repo_id": "lab/cup", "root": "/gone"}}
    (folder / "train_config.json").write_text(json.dumps(config))
    for name in ("HF_LEROBOT_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    cache = tmp_path / ("elsewhere" if variable == "HF_HUB_CACHE" else "hub")
    monkeypatch.setenv(variable, str(cache if variable == "HF_HUB_CACHE" else tmp_path))
    meta = cache / "datasets--lab--cup" / "snapshots" / "abc" / "meta"
    meta.mkdir(parents=True)
    (meta / "info.json").write_text(json.dumps({"fps": 15, "features": {}}))
    assert described(folder)["fps"] == 15


@pytest.mark.parametrize(
    ("std", "named"),
    [
        ((0.02, 0.02, 0.02), True),
        ((0.02, 0.02, 0.9), False),  # one of three
        ((0.5, 0.5, 0.5), False),
    ],
)
def test_actions_as_small_as_steps_are_named(
    std: tuple[float, ...], named: bool, folder: Path
) -> None:
    edit_tensors(folder / POST_STATE, put("action.std", std))
    warnings = described(folder)["warnings"]
    words = (
        "action: 3 of 3 values go over a small part of what observation.state does (value 0: -0.06 "
        "to 0.06, a range of 6); if they are differences: actd commands absolute positions"
    )
    assert [w for w in warnings if w.startswith(words)] == warnings
    assert bool(warnings) == named


def test_speeds_may_be_small(folder: Path, tmp_path: Path) -> None:
    edit_tensors(folder / POST_STATE, put("action.std", [0.02] * 3))
    meta = tmp_path / "set" / "meta"
    meta.mkdir(parents=True)
    vector = {"dtype": "float32", "shape": [3], "names": ["x.vel", "y_vel", "yaw_velocity"]}
    (meta / "info.json").write_text(json.dumps({"fps": 10, "features": {"action": vector}}))
    config = {"dataset": {"repo_id": "lab/set", "root": str(tmp_path / "set")}}
    (folder / "train_config.json").write_text(json.dumps(config))
    assert described(folder)["warnings"] == []


def test_relative_actions_are_named(folder: Path, tmp_path: Path) -> None:
    names = {"delta_x": 0, "delta_y": 1, "gripper": 2}
    meta = tmp_path / "set" / "meta"
    meta.mkdir(parents=True)
    features = {"action": {"dtype": "float32", "shape": [3], "names": names}}
    (meta / "info.json").write_text(json.dumps({"fps": 10, "features": features}))
    config = {"dataset": {"repo_id": "lab/set", "root": str(tmp_path / "set")}}
    (folder / "train_config.json").write_text(json.dumps(config))
    (warning,) = described(folder)["warnings"]
    assert warning == (
        "action: actd commands absolute positions that the robot also measures; relative actions "
        "(delta_x, delta_y) are not supported"
    )


@pytest.mark.parametrize("fps", [0, -30, 1e30, 10**400, True, "30", None, [30]])
def test_a_rate_that_no_dataset_has_is_not_known(fps: Any, folder: Path, tmp_path: Path) -> None:
    meta = tmp_path / "set" / "meta"
    meta.mkdir(parents=True)
    (meta / "info.json").write_text(json.dumps({"fps": fps, "features": {}}))
    config = {"dataset": {"repo_id": "lab/set", "root": str(tmp_path / "set")}}
    (folder / "train_config.json").write_text(json.dumps(config))
    assert described(folder)["fps"] is None


def test_damaged_training_files_are_just_not_known(folder: Path) -> None:
    (folder / "train_config.json").write_text("{")
    assert described(folder)["training"]["dataset"] is None
    (folder / "train_config.json").write_text('{"dataset": [], "batch_size": "many", "env": 3}')
    assert described(folder)["training"]["batch_size"] is None


def one_step(folder: Path) -> None:
    edit_json(folder / "config.json", lambda d: d.update(n_action_steps=1))


def four_states(folder: Path) -> None:
    features = {"observation.state": {"type": "STATE", "shape": [4]}}
    edit_json(folder / "config.json", lambda d: d["input_features"].update(features))
    for stat in ("mean", "std"):
        edit_tensors(folder / PRE_STATE, put(f"observation.state.{stat}", [1.0] * 4))


WARNINGS: dict[str, tuple[Callable[[Path], object], str]] = {
    "own image statistics": (
        lambda d: edit_tensors(d / PRE_STATE, put(f"{TOP}.mean", [0.4, 0.4, 0.4])),
        f"{TOP}: its mean and std are not ImageNet's",
    ),
    "state and action differ": (four_states, "observation.state has 4 values, action 3"),
    "newest only": (one_step, "n_action_steps 1 without ensembling"),
    "still joint": (
        lambda d: edit_tensors(d / POST_STATE, put("action.std", [1, 1e-6, 1])),
        "action: values 1 (0) never changed",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings(name: str, folder: Path) -> None:
    change, words = WARNINGS[name]
    assert described(folder)["warnings"] == []
    change(folder)
    (warning,) = described(folder)["warnings"]
    assert words in warning


def test_cameras_that_may_be_exchanged_unnoticed(tmp_path: Path) -> None:
    folder = golden.write_checkpoint("mixed_sizes_pre_norm_env", tmp_path)
    notes = described(folder)["notes"]
    assert any("cameras wrist, side: exchanging" in note for note in notes)
    for side in (np.float32(0.1), np.float32(0.2)):
        change = put("observation.images.side.mean", np.full((3, 1, 1), side))
        edit_tensors(folder / PRE_STATE, change)
    assert not any("exchanging" in note for note in described(folder)["notes"])
