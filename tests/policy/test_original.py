"""The original ACT's files: what they say, what must be said, what is refused."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 (to write what must be refused)
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from actd.errors import ActdError, CheckpointError, UsageError
from actd.policy.checkpoint import load_checkpoint, open_checkpoint
from actd.policy.overrides import Overrides, read_overrides
from tests import layouts

HINTS = layouts.ORIGINAL_HINTS


@pytest.fixture(scope="module")
def pristine_original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return layouts.write_original(tmp_path_factory.mktemp("original"))


@pytest.fixture
def original(pristine_original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine_original, tmp_path / "run"))


def edit_weights(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    file = folder / "policy_best.ckpt"
    state = torch.load(file, weights_only=True)
    change(state)
    torch.save(state, file)


def refused(folder: Path, overrides: Overrides = HINTS) -> str:
    with pytest.raises(ActdError) as caught:
        load_checkpoint(folder, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_sizes_come_from_the_tensors(original: Path) -> None:
    checkpoint = load_checkpoint(original, HINTS)
    spec = checkpoint.spec
    assert [f.key for f in spec.inputs] == [
        "observation.state",
        "observation.images.top",
        "observation.images.angle",
    ]
    assert (spec.chunk_size, spec.n_action_steps, spec.action_dim) == (25, 25, 14)
    assert (spec.architecture.dim_model, spec.architecture.dim_feedforward) == (128, 256)
    assert (spec.architecture.n_encoder_layers, spec.architecture.n_decoder_layers) == (4, 1)
    assert spec.architecture.vision_backbone == "resnet18"
    assert not spec.architecture.pre_norm
    assert spec.trained_hz == 50
    assert checkpoint.eps == 0
    assert "the original ACT (has policy_best.ckpt)" in checkpoint.recognised
    notes = " ".join(checkpoint.notes)
    assert all(w in notes for w in ("8 heads", "decoder layer 0", "--color bgr", "--fps"))


def test_what_is_said_is_not_assumed(original: Path) -> None:
    checkpoint = load_checkpoint(original, replace(HINTS, color="bgr", fps=30))
    assert checkpoint.spec.trained_hz == 30
    assert not any("assumed; " in n or "--color" in n or "--fps" in n for n in checkpoint.notes)


def test_it_is_recognised_without_being_told(original: Path) -> None:
    assert (
        open_checkpoint(original, replace(HINTS, format="auto")).checkpoint_format.name
        == "original"
    )


def test_any_of_its_checkpoints_can_be_named(original: Path) -> None:
    other = (original / "policy_best.ckpt").rename(original / "policy_epoch_9_seed_0.ckpt")
    assert "policy_epoch_9_seed_0.ckpt" in refused(original)
    assert load_checkpoint(other, HINTS).spec.chunk_size == 25


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (
            Overrides(),
            ("--cameras", "--image-size", "--heads", "chunk 25", "14 joints", "resnet18"),
        ),
        (replace(HINTS, heads=None), ("give --heads",)),
        (replace(HINTS, cameras=()), ("give --cameras",)),
        (replace(HINTS, heads=7), ("--heads: 7", "128")),
    ],
)
def test_what_no_file_says_is_asked_for(
    overrides: Overrides, words: tuple[str, ...], original: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        load_checkpoint(original, overrides)
    assert all(word in str(caught.value) for word in words), caught.value


def test_dead_decoder_layers_change_nothing(original: Path) -> None:
    before = load_checkpoint(original, HINTS)

    def kill(state: dict[str, Any]) -> None:
        for key in [k for k in state if "decoder.layers." in k and "layers.0." not in k]:
            del state[key]

    edit_weights(original, kill)
    after = load_checkpoint(original, HINTS)
    assert all(torch.equal(after.tensors[k], v) for k, v in before.tensors.items())


def test_norm_first_is_seen_in_the_tensors(original: Path) -> None:
    def add(state: dict[str, Any]) -> None:
        for leaf in ("weight", "bias"):
            state[f"model.transformer.encoder.norm.{leaf}"] = torch.ones(128)

    edit_weights(original, add)
    checkpoint = load_checkpoint(original, HINTS)
    assert checkpoint.spec.architecture.pre_norm
    assert torch.equal(checkpoint.tensors["encoder.norm.weight"], torch.ones(128))


def statistics(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        values = layouts.original_statistics() | changes
        kept = {key: value for key, value in values.items() if value is not None}
        layouts.write_statistics(folder / "dataset_stats.pkl", kept)

    return change


class _Runs:
    def __reduce__(self) -> Any:
        return os.system, ("touch proof",)


def weights(value: object) -> Callable[[Path], None]:
    return lambda folder: torch.save(value, folder / "policy_best.ckpt")


BAD = {
    "no statistics": (
        lambda d: (d / "dataset_stats.pkl").unlink(),
        ("dataset_stats.pkl", "missing"),
    ),
    "no qpos": (statistics(qpos_std=None), ("dataset_stats.pkl", "qpos_std", "missing")),
    "nan": (statistics(action_mean=np.full(14, np.nan)), ("action_mean", "not finite")),
    "size": (statistics(action_std=np.ones(7)), ("action_std", "7 values", "need 14")),
    "no float": (statistics(qpos_std=[10**400]), ("qpos_std", "not numbers")),
    "zero": (statistics(qpos_std=np.zeros(14)), ("qpos_std", "zero")),
    "program": (statistics(qpos_std=_Runs()), ("dataset_stats.pkl", "system")),
    "program in weights": (weights({"model.a": _Runs()}), ("policy_best.ckpt", "weights alone")),
    "no tensors": (weights({"epoch": 3}), ("policy_best.ckpt", "state_dict")),
    "another network": (weights({"a": torch.ones(2)}), ("policy_best.ckpt", "a tensor that")),
    "truncated": (
        lambda d: (d / "policy_best.ckpt").write_bytes((d / "policy_best.ckpt").read_bytes()[:999]),
        ("policy_best.ckpt", "copy it again"),
    ),
    "diverged": (
        lambda d: edit_weights(d, lambda s: s["model.action_head.bias"].fill_(np.nan)),
        ("model.action_head.bias", "not finite"),
    ),
    "shape": (
        lambda d: edit_weights(d, lambda s: s.update({"model.action_head.bias": torch.ones(3)})),
        ("model.action_head.bias", "[3]", "[14]"),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_one_line(
    name: str, original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    change, words = BAD[name]
    change(original)
    message = refused(original)
    assert all(word in message for word in words), message
    assert not (tmp_path / "proof").exists()


def test_the_tests_program_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else refusing it would prove nothing."""
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(_Runs()))
    assert (tmp_path / "proof").exists()


def test_two_kinds_in_one_folder_are_not_guessed(original: Path, pristine: Path) -> None:
    for file in pristine.iterdir():
        shutil.copy(file, original)
    with pytest.raises(CheckpointError, match=r"--format lerobot or --format original"):
        load_checkpoint(original)
    assert load_checkpoint(original, Overrides(format="lerobot")).spec.chunk_size == 8
    assert load_checkpoint(original, HINTS).spec.chunk_size == 25


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"format": "act"}, ("--format", "'act'", "original")),
        ({"color": "grey"}, ("--color", "'grey'", "bgr")),
        ({"image_size": "480"}, ("--image-size", "'480'", "480x640")),
        ({"cameras": "a,b,a"}, ("--cameras", "twice")),
        ({"fps": 0.0}, ("--fps", "0")),
    ],
)
def test_bad_option_is_named(given: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        read_overrides(**given)
    assert all(word in str(caught.value) for word in words)


def test_options_read_back_as_given() -> None:
    overrides = read_overrides(
        format="original", cameras="a, b", image_size="480x640", heads=8, color="bgr", fps=50.0
    )
    assert overrides == Overrides("original", ("a", "b"), (480, 640), 8, "bgr", 50.0)
    assert " ".join(overrides.options()) == (
        "--format original --cameras a,b --image-size 480x640 --heads 8 --color bgr --fps 50"
    )
