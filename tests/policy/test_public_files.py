"""What actd makes of public checkpoints and datasets: the table in docs/checkpoints.md."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from actd.datasets.paths import names_of, read_info
from actd.errors import CheckpointError, RecordingError
from actd.policy.checkpoint import Opened, load_checkpoint, open_checkpoint
from tests.policy import public_files as public
from tests.policy.edit import edit_json, edit_tensors, put

STATES = (
    "policy_preprocessor_step_3_normalizer_processor.safetensors",
    "policy_postprocessor_step_0_unnormalizer_processor.safetensors",
)
_IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def write(folder: Path, config: dict[str, Any], train: dict[str, Any] | None = None) -> Path:
    """`folder`, a checkpoint, with the JSON files of another and statistics of its sizes."""
    (folder / "config.json").write_text(json.dumps(config))
    if train is not None:
        (folder / "train_config.json").write_text(json.dumps(train))
    features = config["input_features"] | config["output_features"]
    statistics = {}
    for key, feature in features.items():
        size = feature["shape"][0]
        moments = (
            _IMAGENET if feature["type"] == "VISUAL" else {"mean": [0] * size, "std": [1] * size}
        )
        for name, values in moments.items():
            statistics[f"{key}.{name}"] = np.array(values, np.float32)
    for name in STATES:
        save_file(statistics, folder / name)
    for name in ("policy_preprocessor.json", "policy_postprocessor.json"):
        edit_json(folder / name, lambda d: normalizer(d)["config"].update(features=features))
    return folder


def normalizer(pipeline: dict[str, Any]) -> dict[str, Any]:
    (step,) = (s for s in pipeline["steps"] if s["registry_name"].endswith("normalizer_processor"))
    return dict(step)


def with_dataset(folder: Path, info: dict[str, Any]) -> dict[str, Any]:
    """A train_config.json whose dataset lies beside it."""
    (folder / "set" / "meta").mkdir(parents=True)
    (folder / "set" / "meta" / "info.json").write_text(json.dumps(info))
    return public.train_config({"root": str(folder / "set")})


def notes(opened: Opened) -> str:
    return "\n".join(opened.stored.notes)


@pytest.mark.parametrize(
    "cameras",
    [
        {"top": (720, 1280), "wrist": (1080, 1920)},
        {"front": (576, 1024), "top": (360, 640)},
        {"top": (480, 640)},
    ],
)
def test_so101_policies_are_read_without_a_word(
    cameras: dict[str, tuple[int, int]], folder: Path
) -> None:
    train = with_dataset(folder, public.SO101_INFO)
    opened = open_checkpoint(write(folder, public.config(cameras, 6, 6), train))
    spec = opened.stored.spec
    assert {c.camera: c.boundary_shape[:2] for c in spec.cameras} == cameras
    assert spec.names["action"] == public.SO101
    assert spec.trained_hz == 30
    assert opened.warnings == ()
    assert notes(opened) == ""


def test_libero_is_read_with_its_relative_actions_named(folder: Path) -> None:
    config = public.config({"image": (256, 256), "image2": (256, 256)}, 8, 7)
    opened = open_checkpoint(write(folder, config, public.train_config(env=public.LIBERO_ENV)))
    differ, relative = opened.warnings
    assert "8 values, action 7" in differ
    assert "relative actions (env.control_mode) are not supported" in relative
    # its dataset has 10 rows a second
    assert opened.stored.spec.trained_hz is None
    assert "fps: not known; the policy was evaluated in a simulator at 20: give --fps" in notes(
        opened
    )


def test_libero_with_its_dataset_knows_the_rate(folder: Path) -> None:
    config = public.config({"image": (256, 256), "image2": (256, 256)}, 8, 7)
    opened = open_checkpoint(write(folder, config, with_dataset(folder, public.LIBERO_INFO)))
    assert opened.stored.spec.trained_hz == 10
    assert "action: 1 names for 7 values, so they are numbered" in notes(opened)


def test_a_network_with_coordinates_is_refused_by_its_tensor(folder: Path) -> None:
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**written, "use_coord_conv": True}))
    edit_tensors(
        folder / "model.safetensors",
        put("model.backbone.conv1.weight", np.zeros((64, 5, 7, 7))),
    )
    assert "use_coord_conv: unknown key, ignored" in notes(open_checkpoint(folder))
    with pytest.raises(CheckpointError, match=r"conv1.weight: shape \[64, 5, 7, 7\]"):
        load_checkpoint(folder)


@pytest.mark.parametrize("enabled", [False, True])
def test_steps_for_relative_actions(enabled: bool, folder: Path) -> None:
    relative = {"registry_name": "relative_actions_processor", "config": {"enabled": enabled}}
    edit_json(folder / "policy_preprocessor.json", lambda d: d["steps"].insert(2, relative))
    absolute = {"registry_name": "absolute_actions_processor", "config": {"enabled": enabled}}
    edit_json(folder / "policy_postprocessor.json", lambda d: d["steps"].append(absolute))
    edit_json(folder / "config.json", lambda d: d.update(use_relative_actions=False))
    if not enabled:
        assert "use_relative_actions" not in notes(open_checkpoint(folder))
        return
    with pytest.raises(
        CheckpointError, match="relative_actions_processor'; actd commands absolute"
    ):
        open_checkpoint(folder)


def test_a_policy_of_relative_actions_is_refused(folder: Path) -> None:
    edit_json(folder / "config.json", lambda d: d.update(use_relative_actions=True))
    with pytest.raises(CheckpointError, match="use_relative_actions: true; actd commands absolute"):
        open_checkpoint(folder)


def test_what_the_migration_leaves_is_refused_with_what_to_copy(folder: Path) -> None:
    """It writes an empty config.json and no weights beside its pipelines."""
    (folder / "config.json").write_text("")
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"config.json: file: empty; .*from before it"):
        open_checkpoint(folder)


def test_a_repository_without_a_policy(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "train_config.json").write_text(json.dumps(public.train_config()))
    for given in (folder, folder / "train_config.json"):
        with pytest.raises(CheckpointError, match=r"no config.json (here|beside it)"):
            open_checkpoint(given)


@pytest.mark.parametrize(
    ("info", "joints", "hz"),
    [
        (public.SO101_INFO, public.SO101, 30),
        (public.SO101_SIM_INFO, public.SO101, 30),
        (public.EMPTY_INFO, public.SO101, 30),
        (public.LIBERO_INFO, tuple("0123456"), 10),
    ],
)
def test_datasets_are_read(
    info: dict[str, Any], joints: tuple[str, ...], hz: float, tmp_path: Path
) -> None:
    with_dataset(tmp_path, info)
    told = read_info(tmp_path / "set")
    assert tuple(names_of(told["features"]["action"])) == joints
    assert told["fps"] == hz


def test_names_in_a_list_of_a_list(tmp_path: Path) -> None:
    with_dataset(tmp_path, public.G1_INFO)
    names = names_of(read_info(tmp_path / "set")["features"]["action"])
    assert len(names) == 26
    assert names[0] == "kLeftShoulderPitch"


def test_another_format_is_refused(tmp_path: Path) -> None:
    with_dataset(tmp_path, public.OTHER_INFO)
    with pytest.raises(RecordingError, match="codebase_version: found None"):
        read_info(tmp_path / "set")


def test_features_under_other_names_tell_the_rate_and_no_names(folder: Path) -> None:
    config = public.config({"image": (480, 640)}, 7, 7)
    opened = open_checkpoint(write(folder, config, with_dataset(folder, public.OPENPI_INFO)))
    assert opened.stored.spec.trained_hz == 30
    assert opened.stored.spec.names == {}
