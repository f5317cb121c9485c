"""What `actd inspect` warns of is said wherever the policy is used: once, in the same words."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from actd.cli import app
from actd.engine.manifest import read_manifest
from tests.policy.edit import edit_tensors, put
from tests.policy.tiny import write_tiny

PRE_STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
POST_STATE = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
STILL = "observation.state: values 1 (lift at 45.3) never changed in training"
WARNINGS = (
    "observation.images.top: its mean and std are not ImageNet's but its dataset's",
    "action: 3 of 3 values go over a small part of what observation.state does (pan: -0.03 to "
    "0.03, a range of 6); if they are differences: actd commands absolute positions that the robot "
    "also measures; relative actions are not supported",
    "n_action_steps 1 without ensembling: jerky, and rarely successful; consider more",
    STILL,
    "action: values 1 (lift at 0) never changed in training",
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a dataset on this machine, with everything that is worth a warning and no error."""
    folder = write_tiny(
        tmp_path_factory.mktemp("checkpoint"),
        n_action_steps=1,
        state_mean=[0.0, 45.3, 0.0],
    )
    for name in (PRE_STATE, POST_STATE):
        edit_tensors(folder / name, put("action.std", [0.01, 2e-7, 0.01]))
    edit_tensors(folder / PRE_STATE, put("observation.state.std", [1.0, 4e-6, 1.0]))
    edit_tensors(folder / PRE_STATE, put("observation.images.top.mean", [0.4, 0.4, 0.4]))
    meta = folder / "set" / "meta"
    meta.mkdir(parents=True)
    vector = {"dtype": "float32", "shape": [3], "names": [["pan", "lift", "roll"]]}
    info = {
        "fps": 25,
        "robot_type": "three_joints",
        "features": {"action": vector, "observation.state": vector},
    }
    (meta / "info.json").write_text(json.dumps(info))
    dataset = {"repo_id": "lab/cup", "root": str(folder / "set"), "revision": "v3.0"}
    (folder / "train_config.json").write_text(json.dumps({"dataset": dataset, "batch_size": 8}))
    return folder


def warnings(text: str) -> list[str]:
    return [line.removeprefix("warning: ") for line in text.splitlines() if "warning: " in line]


def told(*command: str) -> str:
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
def test_every_command_says_it_once(checkpoint: Path, tmp_path: Path) -> None:
    engine, config = tmp_path / "ort-fp32", tmp_path / "actd.yaml"
    commands = {
        "inspect": ("inspect", str(checkpoint)),
        "export": ("export", str(checkpoint), "--out", str(tmp_path), "--engine", "ort-fp32"),
        "init": ("init", str(checkpoint), "--engine", str(engine), "--out", str(config)),
        "init from the engine": ("init", str(engine), "--out", str(tmp_path / "again.yaml")),
        "check": ("config", "check", str(config)),
        "run": ("run", "--dry-run", str(config)),
    }
    for name, command in commands.items():
        said = warnings(told(*command))
        assert [line for line in said if line in WARNINGS] == list(WARNINGS), name

    manifest = read_manifest(engine)
    assert manifest.warnings == WARNINGS
    training = manifest.training
    assert (training.dataset, training.dataset_revision) == ("lab/cup", "v3.0")
    assert (training.robot_type, training.batch_size, training.fps) == ("three_joints", 8, 25)
    assert manifest.spec.names["action"] == ("pan", "lift", "roll")
    for file in (config, tmp_path / "again.yaml"):
        text = file.read_text()
        assert "    pan: {" in text
        assert "  policy_hz: 25 " in text


def test_an_input_that_training_never_saw_is_named(checkpoint: Path, tmp_path: Path) -> None:
    told("export", str(checkpoint), "--out", str(tmp_path), "--engine", "ort-fp32")
    image = np.zeros((32, 48, 3), np.uint8)
    for lift, words in (
        (45.3, ""),
        (45.8, "observation.state: lift is 45.8, training never left 45.3"),
    ):
        state = np.array([0.1, lift, 0.1], np.float32)
        observation = {"observation.state": state, "observation.images.top": image}
        np.savez(tmp_path / "obs.npz", **observation)  # type: ignore[arg-type]
        out = told(
            "infer",
            str(tmp_path / "ort-fp32"),
            "--obs",
            str(tmp_path / "obs.npz"),
            "--out",
            str(tmp_path / "out.npz"),
        )
        assert out.count("warning:") == bool(words)
        assert words in out
