"""Datasets of other programs: the v2.1 layout, images in tables, and everything that lacks."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actd.datasets import open_dataset
from actd.datasets.video import VideoFile
from actd.errors import RecordingError
from tests.datasets.making import TOP, image, write

STATE, ACTION = "observation.state", "action"


def write_v21(root: Path, lengths: list[int]) -> dict[str, Any]:
    """A v2.1 dataset by its documented layout: a file per episode, two episodes per chunk."""
    info = {
        "codebase_version": "v2.1",
        "fps": 20,
        "chunks_size": 2,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/"
        "episode_{episode_index:06d}.mp4",
        "features": {
            STATE: {"dtype": "float32", "shape": [2], "names": {"motors": ["a", "b"]}},
            ACTION: {"dtype": "float32", "shape": [2], "names": None},
            TOP: {"dtype": "video", "shape": [64, 96, 3], "names": ["height", "width", "channel"]},
            "observation.images.depth": {
                "dtype": "video",
                "shape": [64, 96, 1],
                "names": ["height", "width", "channel"],
                "info": {"video.is_depth_map": True},
            },
            "timestamp": {"dtype": "float32", "shape": [1], "names": None},
            "frame_index": {"dtype": "int64", "shape": [1], "names": None},
            "episode_index": {"dtype": "int64", "shape": [1], "names": None},
        },
    }
    (root / "meta").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    lines = []
    for episode, length in enumerate(lengths):
        places = {"episode_chunk": episode // 2, "episode_index": episode, "video_key": TOP}
        table = root / str(info["data_path"]).format(**places)
        table.parent.mkdir(parents=True, exist_ok=True)
        number = np.arange(length)
        pq.write_table(
            pa.table(
                {
                    STATE: [[float(episode), float(row)] for row in number],
                    ACTION: [[float(row), float(-row)] for row in number],
                    "timestamp": (number / 20).astype(np.float32),
                    "frame_index": number,
                    "episode_index": np.full(length, episode),
                }
            ),
            table,
        )
        video = root / str(info["video_path"]).format(**places)
        video.parent.mkdir(parents=True, exist_ok=True)
        file = VideoFile(video, 20, 64, 96)
        for row in number:
            file.add(image(64, 96, row))
        file.close()
        lines.append(json.dumps({"episode_index": episode, "tasks": ["x"], "length": length}))
    (root / "meta/episodes.jsonl").write_text("\n".join(lines) + "\n")
    return info


def test_v21_is_read_by_the_paths_it_states(tmp_path: Path) -> None:
    write_v21(tmp_path, [4, 6, 5])
    dataset = open_dataset(tmp_path)
    assert (dataset.fps, dataset.episodes) == (20, [0, 1, 2])
    assert dataset.names(STATE) == ["a", "b"]
    assert dataset.names(ACTION) == ["0", "1"]
    assert dataset.cameras == (TOP,), "depth is no colour camera"
    assert dataset.states(2).tolist() == [[2, row] for row in range(5)]
    for row, frame in enumerate(dataset.frames(2)):
        assert np.abs(frame[TOP].astype(int) - image(64, 96, row)).max() <= 6
        assert frame[ACTION].tolist() == [row, -row]


def test_v20_is_read_as_v21(tmp_path: Path) -> None:
    info = write_v21(tmp_path, [4, 6])
    (tmp_path / "meta/info.json").write_text(json.dumps(info | {"codebase_version": "v2.0"}))
    dataset = open_dataset(tmp_path)
    assert dataset.episodes == [0, 1]
    assert dataset.states(1).tolist() == [[1, row] for row in range(6)]
    assert len(list(dataset.frames(1))) == 6


NAMES: list[tuple[Any, list[str], str]] = [
    (["x", "y"], ["x", "y"], ""),
    ([["x", "y"]], ["x", "y"], ""),
    ([["x"], ["y"]], ["x", "y"], ""),
    ({"motors": ["x", "y"]}, ["x", "y"], ""),
    ({"left": ["x"], "right": ["y"]}, ["x", "y"], ""),
    ({"y": 1, "x": 0}, ["x", "y"], ""),
    (["actions"], ["0", "1"], "1 names for 2 values"),
    (["x", "y", "z"], ["0", "1"], "3 names for 2 values"),
    ({"x": 0}, ["0", "1"], "1 names for 2 values"),
    ([], ["0", "1"], ""),
    ({}, ["0", "1"], ""),
    (None, ["0", "1"], ""),
    ("action", ["0", "1"], ""),
]


@pytest.mark.parametrize(("names", "expected", "note"), NAMES)
def test_values_are_counted_by_the_shape_and_never_by_their_names(
    names: Any, expected: list[str], note: str, tmp_path: Path
) -> None:
    info = write_v21(tmp_path, [3])
    info["features"][ACTION]["names"] = names
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    dataset = open_dataset(tmp_path)
    assert dataset.names(ACTION) == expected
    assert dataset.actions(0).shape == (3, 2)
    assert [note in line for line in dataset.notes] == [True] * bool(note)
    assert all(line.startswith(f"{tmp_path}: action: ") for line in dataset.notes)


def test_depth_is_no_colour_camera_however_it_is_marked(tmp_path: Path) -> None:
    info = write_v21(tmp_path, [3])
    info["features"][TOP]["info"] = {"is_depth_map": True}
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    assert open_dataset(tmp_path).cameras == ()


def test_images_may_lie_in_the_table(tmp_path: Path) -> None:
    info = write_v21(tmp_path, [3])
    info["features"][TOP]["dtype"] = "image"
    (tmp_path / "meta/info.json").write_text(json.dumps(info))
    path = tmp_path / "data/chunk-000/episode_000000.parquet"
    shown = [np.random.default_rng(row).integers(0, 256, (64, 96, 3), np.uint8) for row in range(3)]
    encoded = [
        cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
        for pixels in shown
    ]
    table = pq.read_table(path)
    column = pa.array([{"bytes": file, "path": None} for file in encoded])
    pq.write_table(table.append_column(TOP, column), path)
    for pixels, frame in zip(shown, open_dataset(tmp_path).frames(0), strict=True):
        assert np.array_equal(frame[TOP], pixels)


def diagnostic(action: Any) -> str:
    with pytest.raises(RecordingError) as raised:
        action()
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_is_no_dataset_is_said_in_one_line(tmp_path: Path) -> None:
    assert "not a LeRobotDataset" in diagnostic(lambda: open_dataset(tmp_path / "nowhere"))
    write(tmp_path / "set", [3])
    info_file = tmp_path / "set/meta/info.json"
    info = json.loads(info_file.read_text())
    for text, words in (
        ("{", "not readable"),
        ("[1]", "found list"),
        ("{}", "codebase_version: found None"),
        (
            json.dumps(info | {"codebase_version": "v4.0"}),
            "found v4.0, known are v2.0, v2.1 and v3.0; up",
        ),
        (json.dumps(info | {"codebase_version": "v1.6"}), "LeRobot 0.1 to 0.3 converts it"),
        (
            json.dumps(info | {"features": {ACTION: {"dtype": "float32"}}}),
            "need a dtype and a shape",
        ),
        (json.dumps(info | {"fps": 0}), "fps is not usable"),
    ):
        info_file.write_text(text)
        assert words in diagnostic(lambda: open_dataset(tmp_path / "set"))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write(root, [3, 3])
    dataset = open_dataset(root)
    assert "no episode 2: the dataset has 0 to 1" in diagnostic(lambda: dataset.actions(2))
    assert "effort: no such feature" in diagnostic(lambda: dataset.vectors(0, "effort"))
    video = root / f"videos/{TOP}/chunk-000/file-001.mp4"
    data = root / "data/chunk-000/file-001.parquet"
    shutil.copy(root / f"videos/{TOP}/chunk-000/file-000.mp4", tmp_path / "good.mp4")
    video.write_bytes(video.read_bytes()[:200])
    assert f"{video}: not a readable video" in diagnostic(lambda: list(dataset.frames(1)))
    video.unlink()
    assert f"{video}: no such file" in diagnostic(lambda: list(dataset.frames(1)))
    data.write_bytes(data.read_bytes()[:-100])
    assert f"{data}: not readable" in diagnostic(lambda: dataset.actions(1))
    data.unlink()
    assert f"{data}: no such file" in diagnostic(lambda: dataset.actions(1))
    assert len(list(dataset.frames(0))) == 3


@pytest.mark.parametrize("column", ["episode_index", "length"])
def test_an_episode_without_its_number_or_length_is_named(column: str, tmp_path: Path) -> None:
    """With two episodes the number without a value could not be sorted."""
    root = tmp_path / "set"
    write(root, [20, 13])
    file = min(root.glob("meta/episodes/*/*.parquet"))
    table = pq.read_table(file)
    values = pa.array([None, *table[column].to_pylist()[1:]], table.schema.field(column).type)
    pq.write_table(table.set_column(table.schema.get_field_index(column), column, values), file)
    with pytest.raises(RecordingError, match="lacks an episode_index or a length"):
        open_dataset(root)


def test_a_video_that_ends_early_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "set", [3, 8])
    videos = tmp_path / f"set/videos/{TOP}/chunk-000"
    shutil.copy(videos / "file-000.mp4", videos / "file-001.mp4")
    words = diagnostic(lambda: list(open_dataset(tmp_path / "set").frames(1)))
    assert "has no image at 0.100 s" in words


def test_a_missing_extra_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "set", [2])
    dataset = open_dataset(tmp_path / "set")
    monkeypatch.setitem(sys.modules, "av", None)
    assert "av, which is not installed; pip install 'actd[record]'" in diagnostic(
        lambda: list(dataset.frames(0))
    )
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'actd[record]'" in diagnostic(lambda: open_dataset(tmp_path / "set"))
