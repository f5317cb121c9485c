"""What of a dataset is kept with an engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from actd.engine.manifest import read_manifest
from actd.export.export import export_checkpoint
from actd.export.job import Job
from actd.policy.checkpoint import Checkpoint, load_checkpoint
from actd.policy.overrides import Overrides
from tests.datasets.making import write_motion

JOINTS = ("pan.pos", "lift.pos", "gripper.pos")
STD = np.array([0.1, 0.2, 0.3])


def write_demonstrations(folder: Path, scale: float = 1.0) -> Path:
    """Of the joints and statistics of the fixture `checkpoint`: waves of half a hertz."""
    times = np.arange(0, 4, 1 / 25)
    wave = scale * np.sqrt(2) * np.sin(np.pi * times)[:, None]
    episode = (wave * STD, wave * np.ones(3))
    return write_motion(folder, [episode] * 3, JOINTS, fps=25, robot_type="so101_follower")


@pytest.fixture
def job(checkpoint: Path, tmp_path: Path) -> Callable[..., Job]:
    """A job, its notes in `lines`; `trained_on`: the dataset that the checkpoint names."""
    loaded = load_checkpoint(checkpoint)

    def make(source: Path | str | None, trained_on: Path | None, lines: list[str]) -> Job:
        named: Checkpoint = replace(loaded, dataset_folder=trained_on)
        return Job(named, Overrides(), source, tmp_path, lines.append)

    return make


def test_the_frames_or_what_the_checkpoint_names_tell(
    job: Callable[..., Job], tmp_path: Path
) -> None:
    dataset, notes = write_demonstrations(tmp_path / "set"), list[str]()
    for source, named in ((dataset, None), ("synthetic", dataset), (None, dataset)):
        made = job(source, named, notes)
        assert made.demonstrations is not None
        assert made.demonstrations.motion.velocity == pytest.approx(
            STD * np.sqrt(2) * np.pi, rel=0.01
        )
        assert made.spec.trained_hz == 25
        assert made.spec.names["action"] == JOINTS
        known = made.spec.statistics["action"]
        assert known["max"] == pytest.approx(STD * np.sqrt(2), rel=0.01)
        assert known["std"] == pytest.approx(STD)
    assert not notes
    assert job("synthetic", None, notes).demonstrations is None
    assert job(None, None, notes).spec.names == {}


def test_another_dataset_tells_nothing_and_the_named_one_does(
    job: Callable[..., Job], tmp_path: Path
) -> None:
    other, notes = write_demonstrations(tmp_path / "degrees", 57.3), list[str]()
    dataset = write_demonstrations(tmp_path / "set")
    made = job(other, dataset, notes)
    assert made.demonstrations is not None
    assert made.demonstrations.motion.source == str(dataset)
    (note,) = notes
    assert note.startswith(f"note: {other}: not what the policy was trained on: ")
    assert note.endswith("and 0 ± 1 in the policy's training")


def test_a_damaged_dataset_is_told_of_and_stops_nothing(
    job: Callable[..., Job], tmp_path: Path
) -> None:
    dataset, notes = write_demonstrations(tmp_path / "set"), list[str]()
    shutil.rmtree(dataset / "data")
    assert job(None, dataset, notes).demonstrations is None
    (note,) = notes
    assert note.endswith("fetch it again: limits and the start are not known from it")


@pytest.mark.slow
def test_it_is_in_the_manifest(checkpoint: Path, tmp_path: Path) -> None:
    source = shutil.copytree(checkpoint, tmp_path / "policy")
    dataset = write_demonstrations(tmp_path / "set")
    told = f'{{"dataset": {{"repo_id": "lab/cup", "root": "{dataset}"}}}}'
    (source / "train_config.json").write_text(told)
    (result,) = export_checkpoint(source, tmp_path / "out", ["ort-fp32"], "synthetic")
    manifest = read_manifest(result.folder)
    assert manifest == result.manifest
    assert manifest.motion is not None
    assert (manifest.motion.episodes, manifest.motion.fps) == (3, 25)
    assert manifest.spec.names["action"] == JOINTS
    assert manifest.training.robot_type == "so101_follower"
