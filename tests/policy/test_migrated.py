"""Statistics that LeRobot's own migration of older checkpoints renamed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actd.errors import ActdError, CheckpointError, UsageError
from actd.policy.checkpoint import load_checkpoint
from actd.policy.overrides import Overrides
from tests import golden
from tests.policy.edit import edit_tensors

CASE = "mixed_sizes_pre_norm_env"
PRE_STATE = "policy_preprocessor_step_3_normalizer_processor.safetensors"
POST_STATE = "policy_postprocessor_step_0_unnormalizer_processor.safetensors"


@pytest.fixture
def modern(tmp_path: Path) -> Path:
    return golden.write_checkpoint(CASE, tmp_path / "checkpoint")


def renamed(old: str, *new: str, by: float = 0.0) -> Callable[[dict[str, Any]], None]:
    """Statistics of `old` under the names `new`; the second of them differs by `by`."""

    def change(tensors: dict[str, Any]) -> None:
        for key in [k for k in tensors if k.startswith(f"{old}.")]:
            values = tensors.pop(key)
            for number, name in enumerate(new):
                tensors[name + key.removeprefix(old)] = values + number * by

    return change


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (PRE_STATE, "observation.images.wrist", "observation.images.wri.st"),
        (PRE_STATE, "observation.state", "so100.buffer.observation.state"),
        (POST_STATE, "action", "so100.buffer.action"),
        (POST_STATE, "action", "my.so100.buffer_action"),
        (POST_STATE, "action", "buffer.action"),
    ],
)
def test_they_are_used_where_one_feature_can_be_meant(
    file: str, old: str, new: str, modern: Path, tmp_path: Path
) -> None:
    name = old.replace("wrist", "wri_st")
    if name != old:
        for part in ("config.json", "policy_preprocessor.json"):
            text = (modern / part).read_text()
            (modern / part).write_text(text.replace("images.wrist", "images.wri_st"))
    expected = load_checkpoint(golden.write_checkpoint(CASE, tmp_path / "whole"))
    edit_tensors(modern / file, renamed(old, new))
    checkpoint = load_checkpoint(modern)
    for stat, values in checkpoint.statistics[name].items():
        np.testing.assert_array_equal(values, expected.statistics[old][stat])
    (note,) = [n for n in checkpoint.notes if "renamed them" in n]
    assert f"{file}: {new} holds the statistics of {name}: LeRobot's migration" in note


def refused(folder: Path, overrides: Overrides | None = None) -> str:
    with pytest.raises(ActdError) as caught:
        load_checkpoint(folder, overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_several_datasets_are_told_apart(modern: Path) -> None:
    both = "so100.buffer.action", "my.so101.buffer.action"
    edit_tensors(modern / POST_STATE, renamed("action", *both, by=1.0))
    said = refused(modern)
    assert all(word in said for word in ("my_so101, so100", "choose one with --statistics"))
    first = load_checkpoint(modern, Overrides(statistics="so100")).statistics["action"]
    second = load_checkpoint(modern, Overrides(statistics="my_so101")).statistics["action"]
    np.testing.assert_allclose(second["mean"], first["mean"] + 1, rtol=1e-6)
    said = refused(modern, Overrides(statistics="lab"))
    assert all(word in said for word in ("--statistics", "'lab'", "my_so101, so100"))


def test_equal_statistics_of_several_datasets_leave_no_choice(modern: Path) -> None:
    both = "so100.buffer.action", "so101.buffer.action"
    edit_tensors(modern / POST_STATE, renamed("action", *both))
    load_checkpoint(modern)


def test_two_names_for_one_feature_are_refused(modern: Path) -> None:
    edit_tensors(modern / POST_STATE, renamed("action", "buffer.action", "buffer_action"))
    said = refused(modern)
    assert "buffer.action and buffer_action for action; keep one of them" in said


def test_another_features_statistics_are_never_taken(modern: Path) -> None:
    """side.x may be one of two cameras; what one of them is called belongs to that one."""

    def config(old: str, new: str) -> None:
        for part in ("config.json", "policy_preprocessor.json"):
            text = (modern / part).read_text()
            (modern / part).write_text(text.replace(f"images.{old}", f"images.{new}"))

    config("wrist", "a_b")
    config("side", "a.b")
    edit_tensors(modern / PRE_STATE, renamed("observation.images.side", "observation.images.a.b"))
    edit_tensors(modern / PRE_STATE, lambda t: [t.pop(k) for k in list(t) if "wrist" in k])
    assert "observation.images.a_b.mean: missing" in refused(modern)


def test_a_checkpoint_without_names_of_datasets_takes_no_dataset(modern: Path) -> None:
    with pytest.raises(UsageError, match="bear no dataset's name; leave the option out"):
        load_checkpoint(modern, Overrides(statistics="so100"))


def test_what_is_truly_missing_still_is(modern: Path) -> None:
    edit_tensors(modern / POST_STATE, lambda t: [t.pop(k) for k in list(t) if "action" in k])
    with pytest.raises(CheckpointError, match=r"action\.\w+: missing"):
        load_checkpoint(modern)


def test_what_the_migration_lost_is_said_to_be_lost(modern: Path) -> None:
    edit_tensors(modern / PRE_STATE, renamed("action", "so100.buffer.action"))
    load_checkpoint(modern)  # it matters to no input
    edit_tensors(modern / PRE_STATE, lambda t: [t.pop(k) for k in list(t) if "images.wrist" in k])
    said = refused(modern)
    assert f"{PRE_STATE}: observation.images.wrist.mean: lost in LeRobot's migration" in said
    assert "export the checkpoint as it was before it was migrated" in said
