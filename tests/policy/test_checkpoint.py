"""Reading checkpoints: what is accepted, and one line for everything that is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.errors import CheckpointError
from actd.policy.checkpoint import load_checkpoint
from actd.policy.network import Policy
from actd.policy.synthetic import synthetic
from actd.policy.untrained import write_untrained
from tests.policy.edit import edit_json, edit_tensors, forget, put

PRE = "policy_preprocessor.json"
POST = "policy_postprocessor.json"
PRE_STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
POST_STATE = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"
TOP = "observation.images.top"
STATE = "observation.state"


def refused(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def config(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        edit_json(folder / "config.json", lambda data: data.update(values))

    return change


def step(file: str, index: int, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        edit_json(folder / file, lambda d: d["steps"][index].update(values))

    return change


BAD_CONFIGS = {
    "no width": (config(dim_feedforward=1 << 32), ("dim_feedforward", "4294967296", "65536")),
    "an engine": (config(type="actd"), ("type", "an engine", "the checkpoint")),
    "other policy": (config(type="diffusion"), ("type", "'diffusion'", "act")),
    "two observations": (config(n_obs_steps=2), ("n_obs_steps", "2")),
    "steps over chunk": (config(n_action_steps=9), ("n_action_steps", "9", "chunk_size 8")),
    "ensemble and queue": (
        config(temporal_ensemble_coeff=0.01, n_action_steps=2),
        ("temporal_ensemble_coeff", "0.01", "n_action_steps"),
    ),
    "backbone": (config(vision_backbone="vit"), ("vision_backbone", "'vit'", "resnet18")),
    "activation": (config(feedforward_activation="glu"), ("feedforward_activation", "'glu'")),
    "dilation": (
        config(replace_final_stride_with_dilation=True),
        ("replace_final_stride_with_dilation", "resnet18", "resnet50"),
    ),
    "wrong type": (config(chunk_size="many"), ("chunk_size", "'many'")),
    "two ages": (config(input_shapes={}), ("input_shapes", "beside input_features")),
    "no eyes": (
        config(input_features={STATE: {"type": "STATE", "shape": [3]}}),
        ("input_features", "no VISUAL"),
    ),
    "flat camera": (
        config(input_features={TOP: {"type": "VISUAL", "shape": [32, 48]}}),
        (f"{TOP}.shape", "[32, 48]", "[3, height, width]"),
    ),
    "no action": (config(output_features={}), ("output_features", "action")),
}


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_bad_config_is_one_line(name: str, folder: Path) -> None:
    change, words = BAD_CONFIGS[name]
    change(folder)
    message = refused(folder)
    assert all(word in message for word in ("config.json", *words)), message


def test_missing_type(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    assert "type: missing" in refused(folder)


BAD_TENSORS = {
    "state std gone": (PRE_STATE, forget(f"{STATE}.std"), (f"{STATE}.std", "missing")),
    "camera mean gone": (PRE_STATE, forget(f"{TOP}.mean"), (f"{TOP}.mean", "missing")),
    "action gone": (POST_STATE, forget("action.mean"), ("action.mean", "missing")),
    "never filled": (PRE_STATE, put(f"{STATE}.mean", [np.inf] * 3), ("not finite",)),
    "wrong size": (POST_STATE, put("action.std", [1, 1]), ("action.std", "2 values", "need 3")),
    "negative": (POST_STATE, put("action.std", [1, -1, 1]), ("action.std", "negative")),
    "tensor gone": (
        "model.safetensors",
        forget("model.action_head.bias"),
        ("model.action_head.bias", "missing"),
    ),
    "tensor shape": (
        "model.safetensors",
        put("model.action_head.bias", [0, 0]),
        ("model.action_head.bias", "[2]", "[3]"),
    ),
    "diverged": (
        "model.safetensors",
        put("model.action_head.bias", [0, np.nan, 0]),
        ("model.action_head.bias", "not finite"),
    ),
    "old statistics": (
        "model.safetensors",
        put("normalize_inputs.buffer_observation_state.mean", [0, 0, 0]),
        ("normalize_inputs", "before 0.4"),
    ),
}


@pytest.mark.parametrize("name", BAD_TENSORS)
def test_bad_tensor_is_one_line(name: str, folder: Path) -> None:
    file, change, words = BAD_TENSORS[name]
    edit_tensors(folder / file, change)
    message = refused(folder)
    assert all(word in message for word in (file, *words)), message


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", PRE, POST, PRE_STATE])
def test_missing_file(name: str, folder: Path) -> None:
    (folder / name).unlink()
    assert name in refused(folder)


@pytest.mark.parametrize("name", ["model.safetensors", PRE_STATE, "config.json", POST])
@pytest.mark.parametrize("keep", [0, 5, 0.5])
def test_truncated_file(name: str, keep: float, folder: Path) -> None:
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes(whole[: int(keep if keep >= 1 else keep * len(whole))])
    assert name in refused(folder)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (step(PRE, 3, registry_name="delta_processor"), "delta_processor"),
        (step(POST, 0, registry_name="device_processor"), "no unnormalizer_processor"),
        (step(PRE, 3, state_file=None), f"{STATE}.mean: missing"),
        (step(PRE, 3, state_file="../elsewhere.safetensors"), "state_file"),
        (step(PRE, 3, config={"norm_map": {"STATE": "LOGIT"}}), "LOGIT"),
    ],
)
def test_pipeline_that_would_run_unnormalised(
    change: Callable[[Path], None], word: str, folder: Path
) -> None:
    change(folder)
    assert word in refused(folder)


@pytest.mark.parametrize("within", ["", "pretrained_model", "checkpoints/last/pretrained_model"])
def test_folder_is_found_where_training_puts_it(
    within: str, pristine: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(pristine, run / within)
    assert load_checkpoint(run).folder == (run / within).resolve()


@pytest.mark.parametrize(
    ("text", "episodes"),
    [
        ('{"dataset": {"episodes": [0, 2, 1]}}', {0, 1, 2}),
        ('{"dataset": {"episodes": null}}', None),
        ('{"dataset": {"episodes": []}}', None),
        ('{"dataset": {"episodes": [0, "1", true]}}', None),
        ('{"dataset": []}', None),
    ],
)
def test_the_episodes_that_were_trained_on(
    text: str, episodes: set[int] | None, folder: Path
) -> None:
    (folder / "train_config.json").write_text(text)
    assert load_checkpoint(folder).trained_episodes == episodes


def test_unknown_keys_are_notes(folder: Path) -> None:
    config(novelty=1)(folder)
    assert [note.split(": ")[1] for note in load_checkpoint(folder).notes] == ["novelty"]


def test_rename_map_gives_the_names_before_renaming(folder: Path) -> None:
    rename = {"rename_map": {"observation.images.front": TOP}}
    step(PRE, 0, config=rename)(folder)
    checkpoint = load_checkpoint(folder)
    assert [f.key for f in checkpoint.spec.inputs] == [STATE, "observation.images.front"]
    assert checkpoint.normalization["observation.images.front"] == "MEAN_STD"
    assert Policy(checkpoint).infer(synthetic(checkpoint, count=1, seed=0)[0]).shape == (8, 3)


@pytest.mark.parametrize(
    ("mode", "low", "high"),
    [("MIN_MAX", "min", "max"), ("QUANTILES", "q01", "q99"), ("QUANTILE10", "q10", "q90")],
)
def test_ranges_unnormalise_to_their_ends(mode: str, low: str, high: str, folder: Path) -> None:
    """With a head that says +1 or -1 always, the action is the range's end."""
    ends = {"action." + low: [-2.0, 0.0, 5.0], "action." + high: [2.0, 1.0, 5.0]}
    for key, values in ends.items():
        edit_tensors(folder / POST_STATE, put(key, values))
    edit_json(folder / POST, lambda d: d["steps"][0]["config"]["norm_map"].update({"ACTION": mode}))
    edit_tensors(folder / "model.safetensors", put("model.action_head.weight", np.zeros((3, 16))))
    for sign, key in ((1, high), (-1, low)):
        edit_tensors(folder / "model.safetensors", put("model.action_head.bias", [sign] * 3))
        checkpoint = load_checkpoint(folder)
        chunk = Policy(checkpoint).infer(synthetic(checkpoint, count=1, seed=0)[0])
        np.testing.assert_allclose(chunk[0], ends["action." + key], atol=1e-6)


def test_identity_needs_no_statistics(folder: Path) -> None:
    edit_tensors(folder / PRE_STATE, forget(f"{STATE}.mean"))
    edit_json(
        folder / PRE, lambda d: d["steps"][3]["config"]["norm_map"].update({"STATE": "IDENTITY"})
    )
    assert load_checkpoint(folder).normalization[STATE] == "IDENTITY"


def test_untrained_is_seeded_smooth_and_sees(pristine: Path, tmp_path: Path) -> None:
    again = write_untrained(
        tmp_path / "b",
        cameras={"top": (64, 96)},
        chunk_size=50,
        dim_model=128,
        dim_feedforward=128,
        action_mean=[1.0] * 14,
        action_std=[0.1] * 14,
        seed=4,
    )
    policy = Policy(checkpoint := load_checkpoint(again))
    one, two = synthetic(checkpoint, count=2, seed=9)
    chunk = policy.infer(one)
    assert 0.02 < chunk.std(axis=0).mean() < 0.2
    assert np.abs(np.diff(chunk, axis=0)).mean() < 0.03
    assert np.abs(policy.infer(one | {STATE: two[STATE]}) - chunk).max() > 1e-3
    assert np.abs(policy.infer(one | {TOP: two[TOP]}) - chunk).max() > 1e-3
