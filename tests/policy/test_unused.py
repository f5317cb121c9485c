"""Nothing in a checkpoint is dropped in silence: used, for training only, noted or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from typer.testing import CliRunner

from actd.cli import app
from actd.errors import CheckpointError
from actd.policy.checkpoint import load_checkpoint, open_checkpoint
from tests import layouts
from tests.policy.edit import edit_json, edit_tensors, put

Change = Callable[[dict[str, Any]], object]


def inspected(folder: Path, *options: str) -> str:
    """The line with which `actd inspect` refuses."""
    done = CliRunner().invoke(app, ["inspect", str(folder), *options])
    assert isinstance(done.exception, CheckpointError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture(scope="module")
def state_dict(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = layouts.write_original(tmp_path_factory.mktemp("original"))
    return dict(torch.load(folder / "policy_best.ckpt", weights_only=True))


@pytest.fixture
def original(state_dict: dict[str, Any], tmp_path: Path) -> Callable[[Change], Path]:
    """Writes the original's files with other tensors."""

    def write(change: Change) -> Path:
        state = dict(state_dict)
        change(state)
        torch.save(state, tmp_path / "policy_best.ckpt")
        layouts.write_statistics(tmp_path / "dataset_stats.pkl", layouts.original_statistics())
        return tmp_path

    return write


def second_backbone(state: dict[str, Any]) -> None:
    for key in [k for k in state if "backbones.0." in k]:
        state[key.replace("backbones.0.", "backbones.1.")] = state[key] + 0.1


FORKS: dict[str, tuple[Change, str]] = {
    "a backbone per camera": (
        second_backbone,
        "model.backbones.1.0.body.conv1.weight: a backbone for each camera",
    ),
    "depth": (
        lambda state: state.update({"model.depth_backbones.0.0.body.conv1.weight": torch.ones(1)}),
        "model.depth_backbones.0.0.body.conv1.weight: a network that sees depth",
    ),
    "a quantised latent": (
        lambda state: state.update({"model.latent_proj.weight": torch.ones(32, 128)}),
        "model.latent_proj.weight: 32 rows for a latent of 32: a quantised latent",
    ),
    "something else": (
        lambda state: state.update({"model.tactile_proj.weight": torch.ones(1)}),
        "model.tactile_proj.weight: a tensor that the original ACT does not have",
    ),
}


@pytest.mark.parametrize("name", FORKS)
def test_a_fork_of_the_original_is_refused(name: str, original: Callable[[Change], Path]) -> None:
    change, words = FORKS[name]
    said = inspected(original(change), *layouts.ORIGINAL_HINTS.options())
    assert words in said
    assert "only the original ACT and LeRobot's can be run" in said


def test_a_tensor_beyond_the_backbone_is_refused(original: Callable[[Change], Path]) -> None:
    extra = {"model.backbones.0.0.body.fc.weight": torch.ones(1)}
    with pytest.raises(CheckpointError, match=r"body\.fc\.weight: not in the network"):
        load_checkpoint(original(lambda state: state.update(extra)), layouts.ORIGINAL_HINTS)


def test_what_serves_training_only_is_left_out(original: Callable[[Change], Path]) -> None:
    serves = ("encoder_proj.weight", "pos_table", "backbones.0.0.body.bn1.num_batches_tracked")
    extra = {f"model.{name}": torch.ones(1) for name in serves}
    folder = original(lambda state: state.update(extra))
    load_checkpoint(folder, layouts.ORIGINAL_HINTS)


def test_the_range_that_a_fork_records_is_kept(original: Callable[[Change], Path]) -> None:
    folder = original(lambda state: None)
    ends = {"action_min": np.full(14, -2.0), "action_max": np.full(14, 3.0)}
    layouts.write_statistics(folder / "dataset_stats.pkl", layouts.original_statistics() | ends)
    spec = load_checkpoint(folder, layouts.ORIGINAL_HINTS).spec
    assert spec.trained_range("action") == ((-2.0,) * 14, (3.0,) * 14)


@pytest.mark.parametrize(
    "name", ["model.backbones.1.conv1.weight", "model.depth_encoder.weight", "ema.backbone.weight"]
)
@pytest.mark.parametrize("write", layouts.LAYOUTS.values(), ids=layouts.LAYOUTS)
def test_a_foreign_tensor_is_refused_in_every_format(
    name: str, write: Callable[[str, Path], Path], tmp_path: Path
) -> None:
    folder = write("two_cameras", tmp_path / "checkpoint")
    edit_tensors(folder / "model.safetensors", put(name, [1.0]))
    assert f"{name}: a tensor that ACT has no use for" in inspected(folder)


def test_tensors_that_the_configuration_has_no_place_for(folder: Path) -> None:
    extra = "model.decoder.layers.1.norm1.weight"
    edit_tensors(folder / "model.safetensors", put(extra, [1.0]))
    with pytest.raises(CheckpointError, match=r"decoder\.layers\.1.*not in the network of this"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    "name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"]
)
def test_adapters_are_not_weights(name: str, folder: Path) -> None:
    edit_json(folder / "config.json", lambda d: d.update(use_peft=True))
    load_checkpoint(folder)  # merged already
    save_file({"lora_A.weight": np.zeros(1, np.float32)}, folder / name)
    said = inspected(folder)
    assert f"{name}: file: adapters of a PEFT training, beside model.safetensors" in said
    (folder / "model.safetensors").unlink()
    said = inspected(folder)
    assert "adapters of a PEFT training, no model.safetensors; merge them into the base" in said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("model.safetensors.index.json", "weights in several files, no model.safetensors"),
        ("pytorch_model.bin", "a pickle, which is never read, no model.safetensors"),
        ("README.md", "model.safetensors: file: missing"),
    ],
)
def test_weights_of_another_kind_are_named(name: str, words: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / name)
    assert words in inspected(folder)


def test_files_that_are_not_read_are_noted(folder: Path) -> None:
    assert open_checkpoint(folder).stored.notes == ()
    (folder / "train_config.json").write_text("{}")
    (folder / "README.md").write_text("")
    assert open_checkpoint(folder).stored.notes == ()
    (folder / "ema.safetensors").write_bytes(b"")
    edit_json(
        folder / "config.json",
        lambda d: d["output_features"].update(reward={"type": "REWARD", "shape": [1]}),
    )
    unread, other = sorted(open_checkpoint(folder).stored.notes, reverse=True)
    assert unread.endswith("ema.safetensors: not read")
    assert "output_features.reward: not given by actd" in other


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ([3, 32, 48], (3, 32, 48)),
        ([32, 48, 3], (3, 32, 48)),
        ([48, 3, 32], (3, 32, 48)),
    ],
)
def test_a_camera_of_any_order_of_axes_is_read(
    shape: list[int], read: tuple[int, ...], folder: Path
) -> None:
    feature = {"observation.images.top": {"type": "VISUAL", "shape": shape}}
    edit_json(folder / "config.json", lambda d: d["input_features"].update(feature))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.spec.cameras[0].shape == read
    expected = f"{shape} is read as 48x32 pixels (width x height)"
    assert [expected in note for note in checkpoint.notes] == [True] * (shape[0] != 3)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ([3, 96, 3], "[3, 96, 3], which may be read in several ways; write [3, height, width]"),
        ([1, 32, 48], "one channel: a depth camera?; ACT sees 3 channels"),
        ([32, 48, 1], "one channel: a depth camera?; ACT sees 3 channels"),
        ([4, 32, 48], "[4, 32, 48]; ACT sees 3 channels"),
        ([32, 48], "[32, 48]; write [3, height, width]"),
        ([3, 0, 48], "[3, 0, 48]; write"),
    ],
)
def test_a_camera_that_cannot_be_read_is_refused(
    shape: list[int], words: str, folder: Path
) -> None:
    feature = {"observation.images.top": {"type": "VISUAL", "shape": shape}}
    edit_json(folder / "config.json", lambda d: d["input_features"].update(feature))
    said = inspected(folder)
    assert "input_features.observation.images.top.shape: " in said
    assert words in said


def test_state_inputs_that_act_does_not_read_may_come_first(folder: Path) -> None:
    def first(data: dict[str, Any]) -> None:
        effort = {"observation.effort": {"type": "STATE", "shape": [7]}}
        data["input_features"] = effort | data["input_features"]

    edit_json(folder / "config.json", first)
    checkpoint = load_checkpoint(folder)
    assert [f.key for f in checkpoint.spec.vectors] == ["observation.state"]
    assert any("observation.effort: STATE input is not read" in note for note in checkpoint.notes)


@pytest.mark.parametrize("name", ["model-00001-of-00002.safetensors", "model.ckpt", "weights.pt"])
def test_weights_under_another_name_are_named(name: str, folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / name)
    words = f"model.safetensors: file: missing, beside {name}; save the policy in one file"
    assert words in inspected(folder)


def test_a_step_of_ones_own_is_named_by_its_class(folder: Path) -> None:
    own = {"class": "lab.steps.Blur", "config": {}}
    edit_json(folder / "policy_preprocessor.json", lambda d: d["steps"].insert(1, own))
    assert "steps: step 'lab.steps.Blur'; actd cannot run it" in inspected(folder)
