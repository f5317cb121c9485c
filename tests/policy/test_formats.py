"""LeRobot's generations: how each is recognised, read, and refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actd.errors import ActdError, CheckpointError, UsageError
from actd.policy.checkpoint import Checkpoint, load_checkpoint, open_checkpoint
from actd.policy.normalization import affine
from actd.policy.overrides import Overrides
from tests import golden, layouts
from tests.policy.edit import edit_json, edit_tensors, forget, put

CASE = "odd_size_min_max"
STATE_MIN = "normalize_inputs.buffer_observation_state.min"
ACTION_MAX = "unnormalize_outputs.buffer_action.max"


def refused(folder: Path, overrides: Overrides | None = None) -> str:
    with pytest.raises(ActdError) as caught:
        load_checkpoint(folder, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def modern(tmp_path: Path) -> Checkpoint:
    return load_checkpoint(golden.write_checkpoint(CASE, tmp_path / "modern"))


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return layouts.write_lerobot_0_1(CASE, tmp_path / "old")


@pytest.fixture
def oldest(tmp_path: Path) -> Path:
    return layouts.write_lerobot_2024(CASE, tmp_path / "oldest")


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_every_layout_is_recognised_and_says_the_same(
    name: str, modern: Checkpoint, tmp_path: Path
) -> None:
    folder = layouts.LAYOUTS[name](CASE, tmp_path / "again")
    assert open_checkpoint(folder).checkpoint_format.name == name
    found = load_checkpoint(folder)
    assert found.recognised.startswith(f"{folder.resolve()}: LeRobot ")
    assert found.spec == modern.spec
    assert found.normalization == modern.normalization
    assert found.eps_added == (name != "lerobot-0.4")
    assert all(torch.equal(found.tensors[k], v) for k, v in modern.tensors.items())
    for key, mode in found.normalization.items():
        for stat in {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max")}[mode]:
            np.testing.assert_array_equal(found.statistics[key][stat], modern.statistics[key][stat])


def test_the_eras_guard_an_empty_range_differently() -> None:
    ends = {"min": np.zeros(2, np.float32), "max": np.array([0, 4], np.float32)}
    _, added, _ = affine("MIN_MAX", ends, 2, 0.5, True)
    _, replaced, _ = affine("MIN_MAX", ends, 2, 0.5)
    np.testing.assert_allclose(added, [0.25, 2.25])
    np.testing.assert_allclose(replaced, [0.25, 2.0])


BAD_BUFFERS: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, ...]]] = {
    "gone": (forget(STATE_MIN), (STATE_MIN, "missing", "observation.state is MIN_MAX")),
    "never filled": (put(STATE_MIN, [np.inf] * 6), (STATE_MIN, "6 of 6", "never filled")),
    "not a number": (put(ACTION_MAX, [np.nan] * 6), (ACTION_MAX, "not finite")),
    "wrong size": (put(ACTION_MAX, [1.0]), (ACTION_MAX, "1 values", "need 6")),
}


@pytest.mark.parametrize("name", BAD_BUFFERS)
@pytest.mark.parametrize("write", [layouts.write_lerobot_0_1, layouts.write_lerobot_2024])
def test_bad_buffer_is_one_line(name: str, write: Callable[..., Path], tmp_path: Path) -> None:
    change, words = BAD_BUFFERS[name]
    folder = write(CASE, tmp_path / "checkpoint")
    edit_tensors(folder / "model.safetensors", change)
    message = refused(folder)
    assert all(word in message for word in ("model.safetensors", *words)), message


def test_an_underscore_is_not_a_dot(old: Path) -> None:
    """Names lead from the feature to its buffer: cam_high and cam.high are not one camera."""

    def rename(tensors: dict[str, Any]) -> None:
        for key in [k for k in tensors if "images_front" in k]:
            tensors[key.replace("images_front", "images_cam_high")] = tensors.pop(key)

    edit_tensors(old / "model.safetensors", rename)
    message = refused(old)
    assert "normalize_inputs.buffer_observation_images_front.mean: missing" in message
    assert "observation_images_cam_high" in message

    def config(data: dict[str, Any]) -> None:
        camera = data["input_features"].pop("observation.images.front")
        data["input_features"]["observation.images.cam_high"] = camera

    edit_json(old / "config.json", config)
    assert load_checkpoint(old).spec.cameras[0].camera == "cam_high"


def test_statistics_nowhere(old: Path) -> None:
    def strip(tensors: dict[str, Any]) -> None:
        for key in [k for k in tensors if "normalize" in k]:
            del tensors[key]

    edit_tensors(old / "model.safetensors", strip)
    message = refused(old)
    assert "policy_preprocessor.json" in message
    assert "un-normalised" in message


def test_one_dataset_of_many_names(modern: Checkpoint, tmp_path: Path) -> None:
    folder = layouts.write_lerobot_0_1(CASE, tmp_path / "checkpoint", dataset="so100-blue")
    found = load_checkpoint(folder)
    np.testing.assert_array_equal(
        found.statistics["action"]["max"], modern.statistics["action"]["max"]
    )


def test_several_datasets_must_be_told_apart(tmp_path: Path) -> None:
    folder = layouts.write_lerobot_0_1(CASE, tmp_path / "checkpoint", dataset="so100")

    def add(tensors: dict[str, Any]) -> None:
        for key in [k for k in tensors if ".so100_buffer" in k]:
            tensors[key.replace("so100_", "so101_")] = tensors[key].copy()

    edit_tensors(folder / "model.safetensors", add)
    assert load_checkpoint(folder).normalization["action"] == "MIN_MAX"  # equal, so no question

    other = put("unnormalize_outputs.so101_buffer_action.max", [9.0] * 6)
    edit_tensors(folder / "model.safetensors", other)
    message = refused(folder)
    assert all(word in message for word in ("buffer_action", "so100, so101", "--statistics"))
    chosen = load_checkpoint(folder, Overrides(statistics="so101"))
    np.testing.assert_array_equal(chosen.statistics["action"]["max"], [9.0] * 6)
    message = refused(folder, Overrides(statistics="lab"))
    assert all(word in message for word in ("--statistics", "'lab'", "so100, so101"))


def config(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda data: data.update(values)


BAD_CONFIGS: dict[str, tuple[Callable[[dict[str, Any]], object], tuple[str, ...]]] = {
    "diffusion": (lambda d: d.pop("chunk_size"), ("chunk_size", "not an ACT")),
    "named otherwise": (config(type="tdmpc"), ("type", "'tdmpc'")),
    "no modes": (lambda d: d.pop("input_normalization_modes"), ("input_normalization_modes",)),
    "unknown mode": (
        config(output_normalization_modes={"action": "log"}),
        ("output_normalization_modes.action", "'log'", "MIN_MAX"),
    ),
    "mode of nothing": (
        lambda d: d["input_normalization_modes"].update({"observation.image": "mean_std"}),
        ("observation.image", "no such feature", "observation.images.front"),
    ),
    "two observations": (config(n_obs_steps=2), ("n_obs_steps", "2")),
    "momentum": (config(temporal_ensemble_momentum=1.5), ("temporal_ensemble_momentum", "1.5")),
    "momentum and queue": (
        config(temporal_ensemble_momentum=0.9),
        ("temporal_ensemble_coeff", "n_action_steps"),
    ),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_bad_old_config_is_one_line(name: str, oldest: Path) -> None:
    change, words = BAD_CONFIGS[name]
    edit_json(oldest / "config.json", change)
    message = refused(oldest)
    assert all(word in message for word in ("config.json", *words)), message


def test_momentum_weighs_newer_predictions_more(oldest: Path) -> None:
    edit_json(oldest / "config.json", config(temporal_ensemble_momentum=0.8, n_action_steps=1))
    found = load_checkpoint(oldest)
    assert found.spec.temporal_ensemble_coeff == pytest.approx(math.log(0.8))
    assert any("temporal_ensemble_momentum" in note for note in found.notes)
    # the moving average's weights of five predictions, oldest first, but for the oldest one
    average = [0.2 * 0.8 ** (4 - i) for i in range(1, 5)]
    ours = [math.exp(-found.spec.temporal_ensemble_coeff * i) for i in range(1, 5)]
    np.testing.assert_allclose(np.divide(ours, ours[0]), np.divide(average, average[0]))


@pytest.mark.parametrize("write", [layouts.write_lerobot_0_1, layouts.write_lerobot_2024])
def test_a_feature_trained_raw_is_said_to_be(write: Callable[..., Path], tmp_path: Path) -> None:
    found = load_checkpoint(write("mixed_sizes_pre_norm_env", tmp_path))
    assert found.normalization["observation.environment_state"] == "IDENTITY"
    assert any("observation.environment_state" in note for note in found.notes)


def test_a_single_image_is_a_camera_too(oldest: Path) -> None:
    text = (
        (oldest / "config.json")
        .read_text()
        .replace("observation.images.front", "observation.image")
    )
    (oldest / "config.json").write_text(text)

    def rename(tensors: dict[str, Any]) -> None:
        for key in [k for k in tensors if "images_front" in k]:
            tensors[key.replace("images_front", "image")] = tensors.pop(key)

    edit_tensors(oldest / "model.safetensors", rename)
    assert [f.key for f in load_checkpoint(oldest).spec.cameras] == ["observation.image"]


def test_options_of_the_original_do_not_fit_lerobot(old: Path) -> None:
    message = refused(old, Overrides(heads=8))
    assert "--heads" in message
    assert "LeRobot 0.1" in message
    with pytest.raises(UsageError):
        load_checkpoint(old, Overrides(cameras=("top",)))


def test_a_dataset_is_chosen_only_where_there_are_some(old: Path, tmp_path: Path) -> None:
    assert "only statistics without" in refused(old, Overrides(statistics="lab"))
    modern = golden.write_checkpoint(CASE, tmp_path / "modern")
    assert "--statistics" in refused(modern, Overrides(statistics="lab"))


def test_format_original_looks_for_nothing_else(old: Path) -> None:
    with pytest.raises(CheckpointError, match=r"policy_best\.ckpt"):
        load_checkpoint(old, Overrides(format="original"))


def test_steps_are_found_by_name_and_files_by_state_file(tmp_path: Path) -> None:
    folder = golden.write_checkpoint(CASE, tmp_path / "checkpoint")
    before = load_checkpoint(folder)
    file = folder / "policy_preprocessor.json"
    data = json.loads(file.read_text())
    normalizer = data["steps"].pop()
    (folder / normalizer["state_file"]).rename(folder / "elsewhere.safetensors")
    normalizer["state_file"] = "elsewhere.safetensors"
    data["steps"].insert(0, normalizer)
    file.write_text(json.dumps(data))
    after = load_checkpoint(folder)
    np.testing.assert_array_equal(
        after.statistics["observation.state"]["min"], before.statistics["observation.state"]["min"]
    )
    edit_json(file, lambda d: d["steps"].append(normalizer))
    assert "twice" in refused(folder)
