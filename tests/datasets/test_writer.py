"""What is written is read again, whatever interrupts the writing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from actd.datasets import DatasetWriter, Form, open_dataset
from actd.datasets.stats import ImageStats, combine, vector_stats
from actd.errors import RecordingError
from tests.datasets.making import FORM, NAMES, TOP, WRIST, rows, write, write_scored


def test_episodes_come_back_as_they_were_written(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write(folder, [12, 7])
    write(folder, [5], task="point", first_seed=2)
    dataset = open_dataset(folder)
    assert dataset.fps == 30
    assert dataset.episodes == [0, 1, 2]
    assert [dataset.length(episode) for episode in dataset.episodes] == [12, 7, 5]
    assert dataset.cameras == (TOP, WRIST)
    assert dataset.names("action") == list(NAMES)
    for episode, count in enumerate([12, 7, 5]):
        written = rows(count, episode)
        actions = np.array([vectors["action"] for vectors, _ in written])
        assert np.array_equal(dataset.actions(episode), actions)
        states = np.array([vectors["observation.state"] for vectors, _ in written])
        assert np.array_equal(dataset.states(episode), states)
        for row, frame in enumerate(dataset.frames(episode)):
            assert frame["timestamp"][0] == pytest.approx(row / 30)
            assert np.array_equal(frame["action"], actions[row])
            for key in (TOP, WRIST):
                difference = frame[key].astype(int) - written[row][1][key]
                assert np.abs(difference).max() <= 6, (episode, row, key)


def test_a_score_is_on_the_last_row(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    write_scored(folder, [(5, True), (3, False)])
    write_scored(folder, [(1, True)])
    dataset = open_dataset(folder)
    for episode, (length, success) in enumerate([(5, True), (3, False), (1, True)]):
        last = np.eye(1, length, length - 1).T
        columns = dataset.columns(episode, ["next.done", "next.success", "next.reward"])
        assert np.array_equal(columns["next.done"], last)
        assert np.array_equal(columns["next.success"], success * last)
        assert np.array_equal(columns["next.reward"], success * last)
    with pytest.raises(RecordingError, match=r"features\.next\.reward: only the dataset has it"):
        write(folder, [4])
    write(tmp_path / "plain", [4])
    with pytest.raises(RecordingError, match=r"features\.next\.reward: only this recording has"):
        write_scored(tmp_path / "plain", [(4, True)])


def test_single_rows_are_found_in_any_order(tmp_path: Path) -> None:
    write(tmp_path / "set", [60])
    dataset = open_dataset(tmp_path / "set")
    wanted = [40, 3, 3, 59, 0]
    brightness = [frame[TOP].mean() for frame in dataset.frames(0, wanted)]
    expected = [rows(60, 0)[row][1][TOP].mean() for row in wanted]
    assert brightness == pytest.approx(expected, abs=1.5)


def test_odd_sizes_and_single_joints_can_be_recorded(tmp_path: Path) -> None:
    form = Form(10, {"action": ("gripper",)}, {TOP: (35, 51)})
    shown = np.full((35, 51, 3), 90, np.uint8)
    with DatasetWriter(tmp_path / "set", form) as writer:
        episode = writer.begin("grip")
        for row in range(4):
            episode.add({"action": np.array([row])}, {TOP: shown})
        episode.save()
    dataset = open_dataset(tmp_path / "set")
    assert dataset.actions(0).tolist() == [[0], [1], [2], [3]]
    assert next(iter(dataset.frames(0)))[TOP].shape == (35, 51, 3)


FLAGGED = replace(FORM, cameras={}, flags=("intervention",))


def add(writer: DatasetWriter, count: int) -> None:
    episode = writer.begin("wave")
    for row, (vectors, images) in enumerate(rows(count, 0)):
        episode.add({**vectors, "intervention": np.array([row >= 4])}, images)
    episode.save()


def test_a_flag_is_one_bool_a_row(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "set", FLAGGED) as writer:
        add(writer, 6)
        add(writer, 5)
    dataset = open_dataset(tmp_path / "set")
    assert dataset.vectors(0, "intervention").tolist() == [[0], [0], [0], [0], [1], [1]]
    feature = json.loads((tmp_path / "set/meta/info.json").read_text())["features"]["intervention"]
    assert feature == {"dtype": "bool", "shape": [1], "names": None}
    columns = parquet.read_table(tmp_path / "set/data/chunk-000/file-001.parquet")
    assert columns["intervention"].to_pylist() == [False] * 4 + [True]


def test_a_dataset_without_a_flag_is_continued_without_it(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "set", replace(FLAGGED, flags=())) as writer:
        add(writer, 3)
    with DatasetWriter(tmp_path / "set", FLAGGED) as writer:
        assert writer.notes == [
            "intervention: the dataset has no such feature, rows are added without it"
        ]
        add(writer, 6)
    assert open_dataset(tmp_path / "set").length(1) == 6


@pytest.mark.parametrize(
    ("form", "diagnostic"),
    [
        (replace(FORM, fps=50), "fps: the dataset has 30, this recording 50; give --fps 30"),
        (replace(FORM, cameras={TOP: (96, 128)}), f"features.{WRIST}: only the dataset has it"),
        (
            replace(FORM, cameras={TOP: (96, 128), WRIST: (64, 65)}),
            f"features.{WRIST}.shape: the dataset has [64, 64, 3], this recording [64, 65, 3]",
        ),
        (
            replace(FORM, vectors={**FORM.vectors, "action": ("a", "b", "c")}),
            "features.action.names: the dataset has ['shoulder.pos'",
        ),
    ],
)
def test_another_kind_of_recording_is_not_mixed_in(
    tmp_path: Path, form: Form, diagnostic: str
) -> None:
    write(tmp_path / "set", [3])
    with pytest.raises(RecordingError) as raised:
        DatasetWriter(tmp_path / "set", form)
    assert diagnostic in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(RecordingError, match="not a LeRobotDataset"):
        DatasetWriter(tmp_path, FORM)
    assert [path.name for path in tmp_path.iterdir()] == ["diary.txt"]


def test_two_recorders_do_not_share_a_dataset(tmp_path: Path) -> None:
    with (
        DatasetWriter(tmp_path / "set", FORM),
        pytest.raises(RecordingError, match="another recorder"),
    ):
        DatasetWriter(tmp_path / "set", FORM)


def test_an_episode_that_is_dropped_leaves_nothing(tmp_path: Path) -> None:
    with DatasetWriter(tmp_path / "set", FORM) as writer:
        episode = writer.begin("wave")
        episode.add(*rows(1, 0)[0])
        episode.discard()
    assert not (tmp_path / "set").exists()


# Writes two episodes and dies in the second: at row 5, or at the n-th file it moves in.
_DYING = """
import os, pathlib, signal, sys
from tests.datasets.making import FORM, rows, write
from actd.datasets import DatasetWriter
folder, moment = pathlib.Path(sys.argv[1]), int(sys.argv[2])
write(folder, [4])
replace, moved = pathlib.Path.replace, []
def dying(path, target):
    moved.append(target)
    if len(moved) == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(path, target)
pathlib.Path.replace = dying
with DatasetWriter(folder, FORM) as writer:
    episode = writer.begin("wave")
    for number, row in enumerate(rows(9, 1)):
        if moment == 0 and number == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        episode.add(*row)
    episode.save()
"""


@pytest.mark.parametrize("moment", [0, 1, 3, 5, 7])
def test_a_killed_writer_costs_at_most_the_unfinished_episode(tmp_path: Path, moment: int) -> None:
    folder = tmp_path / "set"
    died = subprocess.run([sys.executable, "-c", _DYING, str(folder), str(moment)], check=False)
    assert died.returncode == -signal.SIGKILL
    # As it lies there, before anything has mended it.
    dataset = open_dataset(folder)
    assert len(list(dataset.frames(0))) == 4

    with DatasetWriter(folder, FORM) as writer:
        [note] = writer.notes
    dataset = open_dataset(folder)
    if moment == 0:
        assert "dropped an episode" in note
        assert dataset.episodes == [0]
    else:
        assert "completed the last episode" in note
        assert dataset.episodes == [0, 1]
        assert len(list(dataset.frames(1))) == 9
    assert json.loads((folder / "meta/info.json").read_text())["total_episodes"] == len(
        dataset.episodes
    )
    assert not list(folder.glob(".*"))
    write(folder, [3], first_seed=5)
    assert open_dataset(folder).length(dataset.episodes[-1] + 1) == 3


def test_statistics_of_the_parts_add_up_to_those_of_the_whole() -> None:
    values = np.random.default_rng(1).normal(3, 2, (500, 4))
    whole = vector_stats(values)
    parts = combine([vector_stats(values[:100]), vector_stats(values[100:])])
    for name in ("min", "max", "mean", "std", "count"):
        assert np.allclose(parts[name], whole[name]), name
    assert np.allclose(whole["q50"], np.median(values, axis=0), atol=0.05)
    assert np.allclose(parts["q90"], whole["q90"], atol=0.3)


def test_images_are_counted_per_channel() -> None:
    images = np.random.default_rng(2).integers(0, 256, (6, 20, 30, 3)).astype(np.uint8)
    images[..., 1] //= 4
    stats = ImageStats()
    for shown in images:
        stats.add(shown)
    found = stats.result()
    flat = images.reshape(-1, 3) / 255
    for name, expected in {
        "min": flat.min(axis=0),
        "max": flat.max(axis=0),
        "mean": flat.mean(axis=0),
        "std": flat.std(axis=0),
        "q10": np.quantile(flat, 0.1, axis=0, method="inverted_cdf"),
        "q99": np.quantile(flat, 0.99, axis=0, method="inverted_cdf"),
    }.items():
        assert found[name].shape == (3, 1, 1)
        assert np.allclose(found[name].ravel(), expected), name
    assert found["count"].tolist() == [6]
